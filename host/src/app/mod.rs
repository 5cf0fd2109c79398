//! The composition root: the only module that knows every other. One struct for each stage, with its start and its stop.
//!
//! ```text
//!  devices ─▶ Ingress ─▶ bus, bindings ─▶ Chains ─▶ Storage ─▶ Upstreams        Operate looks at all of them
//! ```
//!
//! [`Gateway::start`] goes from right to left, because a stage needs the one that it hands messages to; [`Gateway::stop`] goes
//! from left to right, as messages flow.

pub mod access;
mod chains;
mod http;
mod identities;
mod ingress;
mod listeners;
mod operate;
mod reload;
mod storage;
mod tasks;
mod timekeeper;
mod upstreams;

use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use tokio::task::JoinHandle;

use crate::base::kill_point::{self, KillPoint};
use crate::base::log_levels;
use crate::bindings::{Dispatcher, Table};
use crate::bus::{Bus, RetainedLimits};
use crate::chain::Standing;
use crate::config::{BrokerLimits, Config};
use crate::metrics::Counters;
use crate::operate::{ReloadRequest, Reloads, Supervisor, WatchedPlugin, WatchedUpstream};
use crate::setup;
use crate::setup::installation::Installation;

use chains::{Beginnings, Chains};
use http::Http;
use ingress::Ingress;
use operate::Operate;
use reload::{Ready, Reloader};
use storage::Storage;
use upstreams::Upstreams;

pub use storage::SPOOL;

/// A stop, from its beginning: when devices have to be gone, chains to be done, upstreams to have what they take, and the spool to be
/// closed. One clock for all stages, because a supervisor has one: it kills what does not end.
const DEVICES_BY: Duration = Duration::from_secs(1);
const CHAINS_BY: Duration = Duration::from_secs(2);
const UPSTREAMS_BY: Duration = Duration::from_secs(4);
const FAREWELL_BY: Duration = Duration::from_millis(5_500);
const CLOSED_BY: Duration = Duration::from_secs(7);

/// A gateway that runs. Its parts stop in the order in which messages flow.
pub struct Gateway {
    counters: Arc<Counters>,
    ingress: Ingress,
    chains: Chains,
    storage: Storage,
    upstreams: Upstreams,
    operate: Operate,
    reloader: Reloader,
    http: Http,
}

// === impl Gateway ===

impl Gateway {
    /// Everything that can be wrong is found here, before the first device is let in.
    pub async fn start(mut config: Config) -> anyhow::Result<Self> {
        let counters = Arc::<Counters>::default();
        let data_dir = &config.gateway.data_dir;
        // From here on somebody can see how far it is.
        let http = Http::start(config.operate.http.as_ref()).await?;
        let installation = Installation::open(data_dir, &data_dir.join(SPOOL))?;
        installation.complete(&mut config.upstreams);
        let beginnings = Beginnings::spawn()?;
        let mut setup = setup::begin(&config, &setup::cache(&config), &beginnings.threads())?;
        http.starting("plugins are being compiled or started");
        chains::wait_for_plugins(&setup).await?;
        setup::exposed(&config).iter().for_each(|secret| tracing::warn!("{secret}"));
        setup.upstreams.iter().for_each(upstreams::tell_doubts);
        let passwords = setup.users.take().map(identities::open).transpose()?;
        http.starting("the listeners are not bound");
        let listeners = ingress::bind(&config, std::mem::take(&mut setup.tls)).await?;
        http.starting("the spool is being read");
        let (storage, restored) = Storage::open(&config, &counters)?;
        // The spool's lock is held: no other gateway writes into this folder.
        setup.plugins.remember_versions()?;
        let (chains, bindings) = Chains::start(&config, &mut setup, beginnings, &storage.spool, &restored)?;
        let bus = Arc::new(Bus::new(retained_limits(&config.broker.limits), counters.clone()));
        let table = Table::new(bindings);
        let gateway_id = config.gateway.id.clone();
        let dispatcher = Dispatcher::new(gateway_id, table, bus.clone(), storage.spool.clone(), counters.clone());
        let ingress = Ingress::start(&config, listeners, bus, dispatcher.clone(), &restored, &counters, passwords);
        // Behind the sessions of devices, for which upstreams send.
        let upstreams = Upstreams::start(
            &config,
            installation.without_foreign_sessions(setup.upstreams),
            &storage,
            &restored,
            &dispatcher,
            &counters,
        );
        let reloader = Reloader::new(config, installation);
        let operate = Operate::start(&reloader, &chains, &ingress, &storage, &upstreams, &counters)?;
        http.show(operate.observer().clone());
        Ok(Self { counters, ingress, chains, storage, upstreams, operate, reloader, http })
    }

    /// Where the configuration comes from, and is read again when somebody asks.
    pub fn reload_from(mut self, file: &Path) -> Self {
        self.reloader.read_from(file);
        self
    }

    pub fn reloads(&self) -> Reloads {
        self.reloader.handle()
    }

    /// Runs until `stop`, then stops in good order. An error when a part ended that should not have.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let (mut stop, mut worker_died) = (pin!(stop), pin!(self.chains.died()));
        let mut spool_died = pin!(self.storage.spool.died());
        loop {
            let now = self.ingress.now(self.chains.plugins());
            tokio::select! {
                () = &mut stop => break,
                reason = &mut spool_died => {
                    bail!("{reason}; what was acknowledged is on disk, and is found at the next start")
                }
                thread = &mut worker_died => bail!("worker thread `{thread}` died; the log says why"),
                reason = self.ingress.ended() => bail!("{reason}"),
                reason = self.upstreams.ended() => bail!("{reason}"),
                reason = self.operate.ended() => bail!("{reason}"),
                reason = self.http.ended() => bail!("{reason}"),
                (request, ready) = self.reloader.next(&now) => self.reload(request, ready),
            }
        }
        self.stop().await;
        Ok(())
    }

    /// Tells a supervisor that devices are served, and that the gateway lives: from the async threads, which must not hang any more than the
    /// spool. Until it is aborted.
    pub fn attend(&self, supervisor: &Supervisor) -> JoinHandle<()> {
        let spool = self.storage.spool.clone();
        tokio::spawn(supervisor.clone().attend(self.standings().to_vec(), move || spool.heartbeat()))
    }

    /// Nothing here can fail or wait.
    fn reload(&mut self, request: ReloadRequest, ready: Result<Ready, String>) {
        let report = self.reloader.report(request.dry_run, &ready);
        if let (false, Ok(Ready { running, next, ingress, changes, .. })) = (request.dry_run, ready) {
            kill_point::reach(KillPoint::ReloadPrepared);
            self.chains.apply(&running, &next, changes, self.ingress.dispatcher());
            self.storage.spool.divide_among(&next.writers());
            self.ingress.apply(&next, ingress);
            self.operate.look_at(&self.ingress, &self.chains, &next);
            log_levels::configure(&next.log.level);
            self.reloader.runs(next);
            kill_point::reach(KillPoint::Reloaded);
        }
        if !request.dry_run {
            report.log();
        }
        // Who has asked may have left.
        let _ = request.answer.send(report);
    }

    /// Ingress first, egress last.
    pub async fn stop(mut self) {
        let begun = tokio::time::Instant::now();
        self.http.stopping();
        self.upstreams.take_no_more();
        self.ingress.stop(begun + DEVICES_BY).await;
        self.chains.stop(CHAINS_BY.saturating_sub(begun.elapsed())).await;
        self.upstreams.drain(&self.storage.spool, begun + UPSTREAMS_BY).await;
        let farewell = begun + FAREWELL_BY;
        tokio::join!(self.upstreams.stop(farewell), self.operate.stop(farewell), self.http.stop(farewell));
        self.storage.close(begun + CLOSED_BY).await;
        self.operate.report();
    }

    /// Name and bound address of each listener: useful where the configuration asks the kernel for a port.
    pub fn addresses(&self) -> Vec<(String, SocketAddr)> {
        self.ingress.listeners().addresses()
    }

    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    pub fn plugins(&self) -> Vec<WatchedPlugin> {
        self.operate.plugins()
    }

    /// Of bindings that have plugins.
    pub fn standings(&self) -> Vec<Standing> {
        self.chains.standings().to_vec()
    }

    pub fn upstreams(&self) -> &[WatchedUpstream] {
        self.upstreams.watched()
    }

    /// Messages committed and not yet forwarded.
    pub fn waiting(&self) -> usize {
        self.storage.spool.waiting()
    }
}

fn retained_limits(limits: &BrokerLimits) -> RetainedLimits {
    RetainedLimits { max_messages: limits.max_retained_messages, max_bytes: limits.max_retained_bytes }
}
