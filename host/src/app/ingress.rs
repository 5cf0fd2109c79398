//! What brings messages in: the listeners with their devices, and the clocks of sessions and plugins.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{access, identities};
use crate::access::Access;
use crate::auth::Passwords;
use crate::base::clock::unix_ms;
use crate::base::ledger::Ledger;
use crate::base::rate_limit::RateLimit;
use crate::base::watched_files;
use crate::bindings::{Dispatcher, ticks};
use crate::bus::{Bus, MailboxLimits, Queues};
use crate::config::{BrokerLimits, Config};
use crate::ingress::addresses::Addresses;
use crate::ingress::connection::Context;
use crate::ingress::listener::Listener;
use crate::ingress::registry::Registry;
use crate::ingress::tls::Acceptor;
use crate::ingress::wills::Wills;
use crate::metrics::Counters;
use crate::operate::sys_topics::SysTopics;
use crate::setup::descriptors::Places;
use crate::spool::{Key, Restored};

/// How often sessions and wills are looked at for being due. MQTT counts both in seconds.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// In a record of the spool: room for a message, for what plugins make of it, and for a dead letter of it.
const PACKETS_IN_A_RECORD: usize = 3;

/// Complaints about connections in the log, each second.
const COMPLAINTS_PER_SECOND: u32 = 5;

pub struct Ingress {
    addresses: Vec<(String, SocketAddr)>,
    /// Of listeners that have TLS.
    tls: Vec<Arc<Acceptor>>,
    sessions: Arc<Registry>,
    /// Each gives its name when it ends.
    tasks: JoinSet<String>,
    stop: CancellationToken,
}

// === impl Ingress ===

impl Ingress {
    pub fn start(
        config: &Config,
        listeners: Vec<Listener>,
        bus: Arc<Bus>,
        dispatcher: Arc<Dispatcher>,
        restored: &Restored,
        counters: &Arc<Counters>,
        passwords: Option<Arc<Passwords>>,
    ) -> Self {
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        let addresses = listeners.iter().map(|one| (one.name().to_owned(), one.address())).collect();
        let tls: Vec<_> = listeners.iter().filter_map(|one| one.tls().cloned()).collect();
        tls.iter().for_each(|one| watch_tls(one, &mut tasks, &stop));
        let limits = fitted(config.broker.limits.clone(), dispatcher.journal().max_record());
        let access = access::of(config);
        let registry = sessions(&limits, &bus, &dispatcher, (restored, &access));
        if let Some(watch) = access::watch(config, &access, stop.clone()) {
            tasks.spawn(named("watch of `acl_file`".to_owned(), watch));
        }
        for (binding, every) in dispatcher.intervals() {
            let ticks = ticks::run(dispatcher.clone(), binding, every, unix_ms, stop.clone());
            tasks.spawn(named(format!("timer of a binding, every {every:?}"), ticks));
        }
        let (parked_bytes, drains) = (Arc::new(AtomicUsize::new(0)), Arc::default());
        let complaints = Arc::new(RateLimit::per_second(COMPLAINTS_PER_SECOND));
        let max_connections = places(config);
        let places = Arc::new(Semaphore::new(max_connections));
        let addresses_seen = Addresses::new(&limits, max_connections);
        for listener in listeners {
            let context = Context {
                access: access.clone(),
                limits: limits.clone(),
                mqtt_3_1: listener.spec().mqtt_3_1,
                identities: identities::of(listener.name(), config, passwords.as_ref()),
                bus: bus.clone(),
                dispatcher: dispatcher.clone(),
                registry: registry.clone(),
                metrics: counters.listeners.of(listener.name()),
                parked_bytes: Arc::clone(&parked_bytes),
                drains: Arc::clone(&drains),
                complaints: complaints.clone(),
                addresses: addresses_seen.clone(),
            };
            let name = format!("listener `{}`", listener.name());
            tasks.spawn(named(name, listener.run(Arc::new(context), places.clone(), stop.clone())));
        }
        if let Some(every) = config.broker.sys_interval {
            let topics = SysTopics::new(dispatcher.clone(), registry.clone());
            tasks.spawn(named("task of the `$SYS` topics".to_owned(), topics.run(every, stop.clone())));
        }
        if let Some(passwords) = passwords {
            let watch = identities::watch_passwords(passwords, registry.clone(), stop.clone());
            tasks.spawn(named("watch of the password file".to_owned(), watch));
        }
        tasks.spawn(named("sweep of sessions".to_owned(), sweep(registry.clone(), stop.clone())));
        Self { addresses, tls, sessions: registry, tasks, stop }
    }

    pub fn addresses(&self) -> &[(String, SocketAddr)] {
        &self.addresses
    }

    pub fn tls(&self) -> &[Arc<Acceptor>] {
        &self.tls
    }

    pub fn sessions(&self) -> &Arc<Registry> {
        &self.sessions
    }

    /// Why a part of it ended by itself.
    pub async fn ended(&mut self) -> String {
        match self.tasks.join_next().await {
            Some(Ok(name)) => format!("the {name} ended by itself"),
            ended => format!("a listener, a timer or the sweep of sessions ended by itself: {ended:?}"),
        }
    }

    pub async fn stop(mut self, by: Instant) {
        self.stop.cancel();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout_at(by, all).await.is_err() {
            tracing::warn!("some devices did not leave in time");
        }
    }
}

async fn named(name: String, task: impl Future<Output = ()>) -> String {
    task.await;
    name
}

/// `tls` has one for each listener, in their order.
pub async fn bind(config: &Config, tls: Vec<Option<Acceptor>>) -> anyhow::Result<Vec<Listener>> {
    let mut listeners = Vec::new();
    for (spec, tls) in config.broker.listeners.iter().zip(tls) {
        listeners.push(Listener::bind(spec, tls.map(Arc::new)).await?);
    }
    Ok(listeners)
}

/// How many connections there may be, all listeners together.
fn places(config: &Config) -> usize {
    let places = Places::secure(config);
    if let Some(complaint) = places.complaint() {
        tracing::warn!("{complaint}");
    }
    let Places { connections, descriptors, reserved, .. } = places;
    tracing::info!(connections, descriptors, reserved, "places for connections");
    connections
}

/// Its files, and its calendar.
fn watch_tls(acceptor: &Arc<Acceptor>, tasks: &mut JoinSet<String>, stop: &CancellationToken) {
    let reloading = acceptor.clone();
    let watching = watched_files::watch(acceptor.files(), stop.clone(), move || reloading.reload());
    tasks.spawn(named("watch of TLS files".to_owned(), watching));
    tasks.spawn(named("calendar of certificates".to_owned(), acceptor.clone().watch_ends(stop.clone())));
}

/// What a packet causes is a record of the spool, and has to fit into one of its segments: a packet that is refused at its first byte
/// is better than one that is refused each time that it comes.
fn fitted(mut limits: BrokerLimits, max_record: usize) -> BrokerLimits {
    let most = max_record / PACKETS_IN_A_RECORD;
    if limits.max_packet_size > most {
        let wanted = limits.max_packet_size;
        tracing::warn!(
            wanted,
            most,
            "`broker.limits.max_packet_size` is lowered: raise `[spool] max_bytes` to at least twelve times of it"
        );
        limits.max_packet_size = most;
    }
    limits
}

/// The sessions of the last run, and what was being republished when it ended: in this order, so that it reaches them.
fn sessions(
    limits: &BrokerLimits,
    bus: &Arc<Bus>,
    dispatcher: &Arc<Dispatcher>,
    (last, access): (&Restored, &Arc<Access>),
) -> Arc<Registry> {
    let retained = last.state.iter().filter(|(key, _)| matches!(key, Key::Retained { .. })).count();
    let mailbox = MailboxLimits {
        max_messages: limits.max_queued_messages,
        max_bytes: limits.max_queued_bytes,
        // More than that may be there, from a run with a higher limit: whoever subscribes gets all of it.
        max_retained: limits.max_retained_messages.max(retained),
    };
    let queues = Queues::new(limits.max_queued_bytes_total, Ledger::new(limits.memory), dispatcher.counters().clone());
    let wills = Wills::new(dispatcher.clone());
    let registry = Registry::new(bus.clone(), wills, mailbox, queues, limits.max_sessions);
    let registry = Arc::new(registry.with_access(access.clone()));
    registry.restore(&last.state).log();
    dispatcher.restore(&last.state);
    registry
}

async fn sweep(registry: Arc<Registry>, stop: CancellationToken) {
    let mut every = tokio::time::interval(SWEEP_EVERY);
    while stop.run_until_cancelled(every.tick()).await.is_some() {
        registry.sweep(std::time::Instant::now());
    }
}
