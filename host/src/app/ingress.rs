//! What brings messages in: the listeners with their devices, and the clocks of sessions and plugins.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::listeners::{Common, Listeners, Prepared};
use super::reload::Now;
use super::tasks::Tasks;
use super::{access, identities};
use crate::access::Access;
use crate::auth::{Passwords, Users};
use crate::base::clock::unix_ms;
use crate::base::kill_point::{self, KillPoint};
use crate::base::ledger::Ledger;
use crate::base::rate_limit::RateLimit;
use crate::bindings::{Dispatcher, ticks};
use crate::bus::{Bus, MailboxLimits, Queues};
use crate::config::{BindingId, BrokerLimits, Config};
use crate::ingress::addresses::Addresses;
use crate::ingress::listener::Listener;
use crate::ingress::registry::Registry;
use crate::ingress::tls::Acceptor;
use crate::ingress::wills::Wills;
use crate::metrics::Counters;
use crate::operate::sys_topics::SysTopics;
use crate::setup::changes::Plugins;
use crate::setup::descriptors::Places;
use crate::spool::{Key, Restored};
use crate::tap::Taps;

/// How often sessions and wills are looked at for being due. MQTT counts both in seconds.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// In a record of the spool: room for a message, for what plugins make of it, and for a dead letter of it.
const PACKETS_IN_A_RECORD: usize = 3;

/// Complaints about connections in the log, each second.
const COMPLAINTS_PER_SECOND: u32 = 5;

/// What a reload has ready for it.
pub struct PreparedIngress {
    pub listeners: Vec<Prepared>,
    /// Of the password file.
    pub users: Option<Users>,
    /// None where no listener asks for one.
    pub passwords: Option<Arc<Passwords>>,
}

pub struct Ingress {
    listeners: Listeners,
    tasks: Tasks,
    /// Of those who look at files of `[access]`.
    watch: CancellationToken,
    sys_interval: watch::Sender<Option<Duration>>,
    /// Of bindings.
    timers: Vec<(BindingId, Duration, CancellationToken)>,
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
        let mut tasks = Tasks::new();
        let limits = fitted(config.broker.limits.clone(), dispatcher.journal().max_record());
        let access = Arc::new(access::of(config));
        let registry = sessions(&limits, &bus, &dispatcher, (restored, &access));
        let max_connections = places(config);
        let addresses = Addresses::new(&limits, max_connections);
        let common = Common {
            access,
            passwords,
            limits,
            bus,
            dispatcher: dispatcher.clone(),
            registry: registry.clone(),
            counters: counters.clone(),
            parked_bytes: Arc::new(AtomicUsize::new(0)),
            drains: Arc::default(),
            complaints: Arc::new(RateLimit::per_second(COMPLAINTS_PER_SECOND)),
            addresses,
            places: Arc::new(Semaphore::new(max_connections)),
        };
        let listeners = Listeners::start(listeners, common, &mut tasks);
        let sweeping = tasks.token();
        tasks.spawn("sweep of sessions", &sweeping, sweep(registry.clone(), sweeping.clone()));
        let (sys_interval, every) = watch::channel(config.broker.sys_interval);
        let (topics, stop) = (SysTopics::new(dispatcher, registry), tasks.token());
        tasks.spawn("task of the `$SYS` topics", &stop, topics.run(every, stop.clone()));
        let watch = tasks.token();
        let mut ingress = Self { listeners, tasks, watch, sys_interval, timers: Vec::new() };
        ingress.follow_timers();
        ingress.watch_access(config);
        ingress
    }

    /// Nothing of this can fail. Rules first, so that nobody comes in by new doors and old rules.
    pub fn apply(&mut self, next: &Config, prepared: PreparedIngress) {
        let PreparedIngress { listeners, users, passwords } = prepared;
        let common = self.listeners.common();
        // From here on, who has read files for the configuration of before has no word in it.
        self.watch.cancel();
        common.access.replace(access::policy_after(&common.access.policy(), next));
        if let Some((passwords, users)) = passwords.as_ref().zip(users) {
            identities::replace(passwords, users, &common.registry, || true);
        }
        kill_point::reach(KillPoint::ReloadRules);
        let packet = common.limits.max_packet_size;
        let limits = BrokerLimits { max_packet_size: packet, ..next.broker.limits.clone() };
        self.listeners.apply(listeners, limits, passwords, &mut self.tasks);
        self.watch = self.tasks.token();
        self.watch_access(next);
        self.follow_timers();
        self.sys_interval.send_if_modified(|every| std::mem::replace(every, next.broker.sys_interval) != *every);
    }

    /// What a reload finds in use.
    pub fn now(&self, plugins: &Plugins) -> Now {
        let (listeners, passwords) = (self.listeners.open(), self.listeners.common().passwords.clone());
        Now { listeners, passwords, plugins: plugins.clone() }
    }

    pub fn dispatcher(&self) -> &Arc<Dispatcher> {
        &self.listeners.common().dispatcher
    }

    pub fn listeners(&self) -> &Listeners {
        &self.listeners
    }

    /// For who wants to see what becomes of messages.
    pub fn taps(&self) -> &Arc<Taps> {
        self.listeners.common().dispatcher.taps()
    }

    pub fn sessions(&self) -> &Arc<Registry> {
        &self.listeners.common().registry
    }

    /// Why a part of it ended by itself.
    pub async fn ended(&mut self) -> String {
        self.tasks.ended().await
    }

    pub async fn stop(self, by: Instant) {
        if !self.tasks.stop(by).await {
            tracing::warn!("some devices did not leave in time");
        }
    }

    /// One for each binding that ticks now.
    fn follow_timers(&mut self) {
        let (dispatcher, wanted) = (self.dispatcher().clone(), self.dispatcher().intervals());
        self.timers.retain(|(binding, every, stop)| {
            let goes_on = wanted.contains(&(*binding, *every));
            if !goes_on {
                stop.cancel();
            }
            goes_on
        });
        for (binding, every) in wanted {
            if self.timers.iter().any(|(known, ..)| *known == binding) {
                continue;
            }
            let stop = self.tasks.token();
            let ticks = ticks::run(dispatcher.clone(), binding, every, unix_ms, stop.clone());
            self.tasks.spawn(format!("timer of a binding, every {every:?}"), &stop, ticks);
            self.timers.push((binding, every, stop));
        }
    }

    /// The files of `[access]`, until `watch` says that there are others.
    fn watch_access(&mut self, config: &Config) {
        let (common, stop) = (self.listeners.common(), &self.watch);
        if let Some(watch) = access::watch(config, &common.access, stop.clone()) {
            self.tasks.spawn("watch of `acl_file`", stop, watch);
        }
        if let Some((passwords, path)) = common.passwords.clone().zip(config.access.passwords.clone()) {
            let watch = identities::watch_passwords(path, passwords, common.registry.clone(), stop.clone());
            self.tasks.spawn("watch of the password file", stop, watch);
        }
    }
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

/// What a packet causes is a record of the spool, and has to fit into one of its segments: a packet that is refused at its first byte
/// is better than one that is refused each time that it comes.
fn fitted(mut limits: BrokerLimits, max_record: usize) -> BrokerLimits {
    let (wanted, most) = (limits.max_packet_size, largest_packet(&limits, max_record));
    if wanted > most {
        tracing::warn!(
            wanted,
            most,
            "`broker.limits.max_packet_size` is lowered: raise `[spool] max_bytes` to at least twelve times of it"
        );
        limits.max_packet_size = most;
    }
    limits
}

/// The same of what upstreams send, whose messages go the same way.
pub fn largest_packet(limits: &BrokerLimits, max_record: usize) -> usize {
    limits.max_packet_size.min(max_record / PACKETS_IN_A_RECORD)
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
