//! What is measured of the gateway as a whole when somebody looks: what has a limit beside that limit, who is there, what holds it up.

use super::Observer;
use super::disk::OnDisk;
use crate::config::Config;
use crate::ingress::registry::Census;
use crate::metrics::{Families, TlsSnapshot};
use crate::plugin::MemoryTotal;

/// The most that there may be, in bytes, as configured.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    client_memory: usize,
    queued: usize,
    retained: usize,
    plugin_memory: usize,
    spool: u64,
    dead_letters: u64,
}

// === impl Limits ===

impl Limits {
    pub fn of(config: &Config) -> Self {
        let of = &config.broker.limits;
        Self {
            client_memory: of.memory,
            queued: of.max_queued_bytes_total,
            retained: of.max_retained_bytes,
            plugin_memory: config.engine.limits.memory_total,
            spool: config.spool.max_bytes,
            dead_letters: config.dead_letters.max_bytes,
        }
    }
}

pub(super) fn memory(observer: &Observer, to: &mut Families) {
    let (sessions, limits) = (&observer.sessions, observer.limits.get());
    let mut bytes = |used: (&str, &str, usize), limit: (&str, usize)| {
        to.gauge(used.0, used.1, &[], used.2 as f64);
        to.gauge(limit.0, "The most that it may be, as configured.", &[], limit.1 as f64);
    };
    let help = "What clients hold beside queues and retained messages, and beyond what each is sure of: `broker.limits.memory` at most.";
    bytes(
        ("tidegate_client_memory_bytes", help, sessions.ledger().used()),
        ("tidegate_client_memory_limit_bytes", limits.client_memory),
    );
    let help = "What waits for subscribers: `broker.limits.max_queued_bytes_total` at most.";
    bytes(("tidegate_queued_bytes", help, sessions.queued_bytes()), ("tidegate_queued_limit_bytes", limits.queued));
    let help = "Retained messages: `broker.limits.max_retained_bytes` at most.";
    bytes(
        ("tidegate_retained_bytes", help, sessions.retained_bytes()),
        ("tidegate_retained_limit_bytes", limits.retained),
    );
    let help = "Memory of the instances of all plugins: `memory_total` of `[engine.limits]` at most.";
    let used = Option::as_ref(&observer.plugin_memory.get()).map_or(0, MemoryTotal::used);
    bytes(("tidegate_plugin_memory_bytes", help, used), ("tidegate_plugin_memory_limit_bytes", limits.plugin_memory));
}

pub(super) fn census(census: &Census, to: &mut Families) {
    for (name, help, count) in [
        ("tidegate_sessions_connected", "Sessions whose device is connected.", census.connected),
        ("tidegate_sessions_away", "Sessions that wait for their device.", census.away),
        ("tidegate_queued_messages", "Messages that wait for subscribers.", census.queued),
        ("tidegate_subscriptions", "Subscriptions of all sessions, without shared ones.", census.bus.subscriptions),
        ("tidegate_shared_subscriptions", "Shared subscriptions of all sessions.", census.bus.shared_subscriptions),
        ("tidegate_retained_messages", "Retained messages.", census.bus.retained),
    ] {
        to.gauge(name, help, &[], count as f64);
    }
}

/// The spool with its limit, and whether it holds devices back; and what the archive has.
pub(super) fn storage(observer: &Observer, disk: &OnDisk, to: &mut Families) {
    let (limits, held) = (observer.limits.get(), observer.spool.held());
    let help = "Messages in the spool, of all upstreams; also of those that are not in the configuration any more.";
    to.gauge("tidegate_spool_messages", help, &[], observer.spool.waiting() as f64);
    let help = "The most that the spool may have in use, `spool.max_bytes`.";
    to.gauge("tidegate_spool_limit_bytes", help, &[], limits.spool as f64);
    let is_full = held.iter().any(|held| held.upstream.is_none());
    let help = "1 while devices are held back because the spool or its disk is full.";
    to.gauge("tidegate_spool_full", help, &[], f64::from(u8::from(is_full)));
    for upstream in &observer.upstreams {
        let is_full = held.iter().any(|held| held.upstream.as_deref() == Some(upstream.name.as_str()));
        let help = "1 while devices are held back because its part of the spool is full.";
        to.gauge("tidegate_upstream_share_full", help, &[("upstream", &upstream.name)], f64::from(u8::from(is_full)));
    }
    to.gauge("tidegate_dead_letters", "Dead letters in the archive.", &[], disk.letters as f64);
    to.gauge("tidegate_dead_letters_bytes", "Bytes of the archive of dead letters.", &[], disk.letter_bytes as f64);
    let help = "The most that the archive of dead letters may take, `dead_letters.max_bytes`.";
    to.gauge("tidegate_dead_letters_limit_bytes", help, &[], limits.dead_letters as f64);
    if let Some(free) = disk.free_bytes {
        let help = "Free space in the file system of `data_dir`, for who is not root.";
        to.gauge("tidegate_data_dir_free_bytes", help, &[], free as f64);
    }
}

/// The one number that has to be 0 for ever: what `metrics/totals.rs` makes of several counters.
pub(super) fn losses(observer: &Observer, to: &mut Families) {
    let help = "Messages that were acknowledged and are lost without anybody's decision: all of them. It is 0 for ever, or there is a fault.";
    let lost = observer.counters.totals().acknowledged_lost;
    to.counter("tidegate_messages_lost_total", help, &[], lost as f64);
}

/// Moments as Prometheus has them, to compare with `time()`.
pub(super) fn tls(tls: &TlsSnapshot, to: &mut Families) {
    let help = "When the first certificate in the chain of the listener ends, in seconds since the Unix epoch.";
    let of = [("listener", tls.listener.as_str())];
    if let Some(end) = tls.not_after {
        to.gauge("tidegate_listener_tls_not_after_timestamp_seconds", help, &of, end as f64);
    }
    let help = "When the first revocation list of the listener is to be replaced, in seconds since the Unix epoch.";
    if let Some(end) = tls.list_next_update {
        to.gauge("tidegate_listener_tls_list_next_update_timestamp_seconds", help, &of, end as f64);
    }
    let help = "1 when files of TLS have changed and cannot be used: those from before are in use.";
    to.gauge("tidegate_listener_tls_files_refused", help, &of, f64::from(u8::from(tls.not_in_use.is_some())));
}
