//! The composition root: the only file that knows every room. Read [`Gateway::start`] as the way of a message.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::bindings::{Binding, Dispatcher, Table, ticks};
use crate::bus::{Budget, Bus, MailboxLimits, RetainedLimits};
use crate::chain::{Chain, Workers, default_threads};
use crate::control::admin;
use crate::control::clock::{self, unix_ms};
use crate::control::config::{self, BrokerLimits, Config, Sync};
use crate::control::counters::Counters;
use crate::control::rate_limit::RateLimit;
use crate::egress::{self, UpstreamStatus};
use crate::ingress::connection;
use crate::ingress::listener::Listener;
use crate::ingress::registry::Registry;
use crate::ingress::wills::Wills;
use crate::letters::{Archive, Archivist, DEAD_LETTERS, Desk, FOLDER};
use crate::plugin::{self, LoadedPlugin, PluginStats};
use crate::setup::{self, memory::state_limit};
use crate::spool::{Receipt, Record, Restored, Spool, log};

/// How often sessions and wills are looked at for being due. MQTT counts both in seconds.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// A stop, from its beginning: when devices have to be gone, chains to be done, upstreams to have what they take, and the spool to be
/// closed. One clock for all stages, because a supervisor has one: it kills what does not end.
const DEVICES_BY: Duration = Duration::from_secs(1);
const CHAINS_BY: Duration = Duration::from_secs(2);
const UPSTREAMS_BY: Duration = Duration::from_secs(4);
const FAREWELL_BY: Duration = Duration::from_millis(5_500);
const CLOSED_BY: Duration = Duration::from_secs(7);

/// Compiled plugins, in the data folder.
const COMPILED: &str = "compiled";

/// The log of what is acknowledged and not forwarded, in the data folder.
pub const SPOOL: &str = "spool";

/// Complaints about connections in the log, each second.
const COMPLAINTS_PER_SECOND: u32 = 5;

/// A gateway that runs. Its parts stop in the order in which messages flow.
pub struct Gateway {
    addresses: Vec<(String, SocketAddr)>,
    counters: Arc<Counters>,
    plugins: Vec<(String, Arc<PluginStats>)>,
    upstreams: Vec<(String, watch::Receiver<UpstreamStatus>)>,
    spool: Spool,
    workers: Workers,
    devices: JoinSet<()>,
    senders: Vec<JoinHandle<()>>,
    archivist: JoinHandle<Result<(), String>>,
    admin: JoinHandle<()>,
    stop_devices: CancellationToken,
    stop_senders: CancellationToken,
}

// === impl Gateway ===

impl Gateway {
    /// Everything that can be wrong is found here, before the first device is let in.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let counters = Arc::<Counters>::default();
        let stop_devices = CancellationToken::new();
        let stop_senders = CancellationToken::new();

        // devices ─▶ ingress ─▶ bus, bindings ─▶ chain ─▶ spool ─▶ egress ─▶ upstreams: built from the far end.
        let mut setup = setup::prepare(&config, Some(&config.gateway.data_dir.join(COMPILED)))?;
        log_plugins(&setup);
        let listeners = bind(&config).await?;
        let (spool, restored) = open_spool(&config, counters.clone())?;
        // The spool's lock is held: no other gateway writes into this folder.
        setup.remember_versions()?;
        remember(&config, &setup.chains, &spool, &restored);
        let (workers, bindings) = start_chains(&config, std::mem::take(&mut setup.chains), &setup.plugins)?;
        let desk = open_archive(&config, counters.clone())?;
        let bus = Arc::new(Bus::new(retained_limits(&config.broker.limits), counters.clone()));
        let table = Table::new(bindings);
        let dispatcher = Dispatcher::new(config.gateway.id, table, bus.clone(), spool.clone(), counters.clone());

        let mut senders = Vec::new();
        let mut upstreams = Vec::new();
        for (index, (spec, prepared)) in config.upstreams.iter().zip(setup.upstreams).enumerate() {
            let queue = spool.queue(index);
            let (sender, status) = egress::start(prepared, queue, counters.clone(), stop_senders.clone());
            senders.push(sender);
            upstreams.push((spec.name.clone(), status));
        }
        let archivist = start_archivist(&desk, &spool, &dispatcher, &counters, &stop_senders);
        let limits = config.broker.limits;
        let addresses = listeners.iter().map(|one| (one.name().to_owned(), one.address())).collect();
        let registry = sessions(&limits, &bus, &dispatcher, &restored);
        let clocks = dispatcher.clone();
        let mut devices = serve(listeners, limits, bus, dispatcher, registry, counters.clone(), &stop_devices);
        for interval in clocks.intervals() {
            devices.spawn(ticks::run(clocks.clone(), interval, unix_ms, stop_devices.clone()));
        }
        let plugins: Vec<_> =
            setup.plugins.iter().map(|plugin| (plugin.name().to_owned(), plugin.stats().clone())).collect();
        let state = admin::State {
            desk,
            spool: spool.clone(),
            counters: counters.clone(),
            upstreams: upstreams.clone(),
            plugins: plugins.clone(),
        };
        let admin = admin::start(&config.gateway.data_dir, state, stop_senders.clone()).context("the admin socket")?;
        Ok(Self {
            addresses,
            counters,
            plugins,
            upstreams,
            spool,
            workers,
            devices,
            senders,
            archivist,
            admin,
            stop_devices,
            stop_senders,
        })
    }

    /// Runs until `stop`, then stops in good order. An error when a part ended that should not have.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let died = self.workers.died();
        let lost = self.spool.died();
        tokio::select! {
            () = stop => {}
            reason = lost => bail!("{reason}; what was acknowledged is on disk, and is found at the next start"),
            thread = died => bail!("worker thread `{thread}` died; the log says why"),
            ended = self.devices.join_next() => bail!("a listener ended by itself: {ended:?}"),
            ended = &mut self.archivist => bail!("the archive of dead letters ended: {ended:?}; they are kept in the spool"),
            ended = &mut self.admin => bail!("the admin socket ended by itself: {ended:?}"),
            ended = first_ended(&mut self.senders) => bail!("the sender of upstream {ended} ended by itself"),
        }
        self.stop().await;
        Ok(())
    }

    /// Ingress first, egress last.
    pub async fn stop(mut self) {
        let begun = tokio::time::Instant::now();
        self.stop_devices.cancel();
        let devices = async { while self.devices.join_next().await.is_some() {} };
        if tokio::time::timeout_at(begun + DEVICES_BY, devices).await.is_err() {
            tracing::warn!("some devices did not leave in {DEVICES_BY:?}");
        }
        let (workers, left) = (self.workers, CHAINS_BY.saturating_sub(begun.elapsed()));
        let unfinished = tokio::task::spawn_blocking(move || workers.shutdown(left)).await.unwrap_or(0);
        if unfinished > 0 {
            tracing::warn!(
                unfinished,
                "messages whose plugins did not finish: not acknowledged, their devices keep them"
            );
        }
        drain(&self.spool, &self.upstreams, begun + UPSTREAMS_BY).await;
        self.stop_senders.cancel();
        for sender in self.senders {
            // The sender bounds its own farewell; this is for one that hangs.
            let _ = tokio::time::timeout_at(begun + FAREWELL_BY, sender).await;
        }
        let _ = tokio::time::timeout_at(begun + FAREWELL_BY, self.archivist).await;
        let _ = tokio::time::timeout_at(begun + FAREWELL_BY, self.admin).await;
        if tokio::time::timeout_at(begun + CLOSED_BY, self.spool.close()).await.is_err() {
            tracing::warn!("the spool did not close in {CLOSED_BY:?}; the next start recovers it");
        }
        let balance = self.counters.balance(self.spool.waiting());
        if balance.missing() != 0 {
            tracing::error!(
                ?balance,
                "the books do not balance: a message is missing or was counted twice; please report this"
            );
        }
        for (plugin, stats) in &self.plugins {
            for (name, metric) in stats.metrics.snapshot() {
                tracing::info!(plugin, "metric {name}={metric}");
            }
        }
        let counts: Vec<String> = self.counters.snapshot().iter().map(|(name, n)| format!("{name}={n}")).collect();
        for (plugin, stats) in &self.plugins {
            tracing::info!(plugin, "stopped; {stats}");
        }
        tracing::info!(waiting = self.spool.waiting(), books = %balance, "stopped; counters {}", counts.join(" "));
    }

    /// Name and bound address of each listener: useful where the configuration asks the kernel for a port.
    pub fn addresses(&self) -> &[(String, SocketAddr)] {
        &self.addresses
    }

    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    pub fn plugins(&self) -> &[(String, Arc<PluginStats>)] {
        &self.plugins
    }

    pub fn upstreams(&self) -> &[(String, watch::Receiver<UpstreamStatus>)] {
        &self.upstreams
    }

    /// Messages committed and not yet forwarded.
    pub fn waiting(&self) -> usize {
        self.spool.waiting()
    }
}

fn log_plugins(setup: &setup::Setup) {
    for plugin in &setup.plugins {
        let sha256 = &plugin.component().inspection().sha256;
        tracing::info!(plugin = plugin.name(), sha256, origin = %plugin.provenance(), "plugin loaded");
    }
    if setup.compiled > 0 {
        tracing::info!(components = setup.compiled, "compiled; the next start finds them in the cache");
    }
}

fn open_spool(config: &Config, counters: Arc<Counters>) -> anyhow::Result<(Spool, Restored)> {
    let upstreams = config.upstreams.iter().map(|upstream| upstream.name.as_str());
    let names: Vec<&str> = upstreams.chain([DEAD_LETTERS]).collect();
    let (spool, restored) = Spool::open(&config.gateway.data_dir.join(SPOOL), &names, &config.spool, counters)?;
    restored.recovery.log();
    match config.spool.sync {
        Sync::Group => {}
        Sync::Interval(every) => {
            tracing::warn!("`sync`: a power cut loses what was acknowledged in the last {every:?}")
        }
        Sync::Os => tracing::warn!("`sync`: a power cut loses what was acknowledged in about the last 30 s"),
    }
    Ok((spool, restored))
}

/// Gives plugins back what they remembered, before the first message.
fn remember(config: &Config, chains: &[Chain], spool: &Spool, restored: &Restored) {
    let stores: Vec<_> = chains.iter().flat_map(Chain::stores).cloned().collect();
    let orphans = plugin::restore(&stores, &restored.state);
    let changes = orphans.settle(&stores, state_limit(config));
    spool.commit(Record { outputs: Vec::new(), changes, receipt: Receipt::none(), hold: Default::default() });
}

/// After the spool: the archive has to know whether it is the one that its letters came from.
fn open_archive(config: &Config, counters: Arc<Counters>) -> anyhow::Result<Desk> {
    let spool = log::identity(&config.gateway.data_dir.join(SPOOL))?;
    let archive = Archive::open(&config.gateway.data_dir.join(FOLDER), &config.dead_letters, spool, counters)?;
    Ok(Desk::new(archive))
}

fn start_archivist(
    desk: &Desk,
    spool: &Spool,
    dispatcher: &Arc<Dispatcher>,
    counters: &Arc<Counters>,
    stop: &CancellationToken,
) -> JoinHandle<Result<(), String>> {
    // It was opened with this line, so that there is one; a queue without a line has nothing to read.
    let queue = spool.queue(spool.dead_letters().unwrap_or(usize::MAX));
    let archivist = Archivist::new(desk.clone(), queue, dispatcher.clone(), counters.clone());
    tokio::spawn(archivist.run(stop.clone()))
}

/// A lane for each binding that has plugins.
fn start_chains(
    config: &Config,
    chains: Vec<Chain>,
    plugins: &[LoadedPlugin],
) -> anyhow::Result<(Workers, Vec<Binding>)> {
    let (workers, lanes) = Workers::start(default_threads(), chains).context("the chain threads do not start")?;
    let mut lanes = lanes.into_iter();
    let with_lane = |spec: &config::Binding| {
        let lane = if spec.plugins.is_empty() { None } else { lanes.next() };
        let of_binding = spec.plugins.iter().filter_map(|index| plugins.get(*index));
        let digest = |plugin: &LoadedPlugin| (plugin.name().to_owned(), plugin.component().inspection().sha256.clone());
        Binding::new(spec.clone(), lane).with_digests(of_binding.map(digest).collect())
    };
    Ok((workers, config.bindings.iter().map(with_lane).collect()))
}

async fn bind(config: &Config) -> anyhow::Result<Vec<Listener>> {
    let mut listeners = Vec::new();
    for spec in &config.broker.listeners {
        listeners.push(Listener::bind(spec).await?);
    }
    Ok(listeners)
}

/// The sessions of the last run, and what was being republished when it ended: in this order, so that it reaches them.
fn sessions(limits: &BrokerLimits, bus: &Arc<Bus>, dispatcher: &Arc<Dispatcher>, last: &Restored) -> Registry {
    let mailbox = MailboxLimits {
        max_messages: limits.max_queued_messages,
        max_bytes: limits.max_queued_bytes,
        max_retained: limits.max_retained_messages,
    };
    let budget = Budget::new(limits.max_queued_bytes_total);
    let registry = Registry::new(bus.clone(), Wills::new(dispatcher.clone()), mailbox, budget, limits.max_sessions);
    registry.restore(&last.state).log();
    dispatcher.restore(&last.state);
    registry
}

/// The listeners and the clock of the sessions.
fn serve(
    listeners: Vec<Listener>,
    limits: BrokerLimits,
    bus: Arc<Bus>,
    dispatcher: Arc<Dispatcher>,
    registry: Registry,
    counters: Arc<Counters>,
    stop: &CancellationToken,
) -> JoinSet<()> {
    let places = Arc::new(Semaphore::new(limits.max_connections));
    let parked_bytes = Arc::new(AtomicUsize::new(0));
    let complaints = RateLimit::per_second(COMPLAINTS_PER_SECOND);
    let context = Arc::new(connection::Context {
        limits,
        bus,
        dispatcher,
        registry,
        counters,
        parked_bytes,
        drains: Arc::default(),
        complaints,
    });
    let mut tasks = JoinSet::new();
    for listener in listeners {
        tasks.spawn(listener.run(context.clone(), places.clone(), stop.clone()));
    }
    tasks.spawn(sweep(context, stop.clone()));
    tasks
}

async fn sweep(context: Arc<connection::Context>, stop: CancellationToken) {
    let mut every = tokio::time::interval(SWEEP_EVERY);
    while stop.run_until_cancelled(every.tick()).await.is_some() {
        context.registry.sweep(clock::now());
    }
}

/// Lets the upstreams that are there take what waits.
async fn drain(spool: &Spool, upstreams: &[(String, watch::Receiver<UpstreamStatus>)], deadline: tokio::time::Instant) {
    let connected = || upstreams.iter().any(|(_, status)| status.borrow().connected);
    while spool.deliverable() > 0 && connected() && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The position of the first task that ended; never, when there is none.
async fn first_ended(tasks: &mut [JoinHandle<()>]) -> usize {
    std::future::poll_fn(|cx| {
        for (index, task) in tasks.iter_mut().enumerate() {
            if std::pin::Pin::new(task).poll(cx).is_ready() {
                return std::task::Poll::Ready(index);
            }
        }
        std::task::Poll::Pending
    })
    .await
}

fn retained_limits(limits: &BrokerLimits) -> RetainedLimits {
    RetainedLimits { max_messages: limits.max_retained_messages, max_bytes: limits.max_retained_bytes }
}
