//! What an operator sees: the admin socket while the gateway runs, the log at its start and at its end.

use std::sync::Arc;

use anyhow::Context as _;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ingress::Ingress;
use super::reload::Reloader;
use super::storage::Storage;
use super::upstreams::Upstreams;
use crate::base::current::Current;
use crate::chain::Standing;
use crate::config::Config;
use crate::metrics::Counters;
use crate::operate::{DiskWatch, Limits, Observer, WatchedPlugin, admin};
use crate::setup::Loader;

pub struct Operate {
    admin: JoinHandle<()>,
    observer: Arc<Observer>,
    stop: CancellationToken,
}

// === impl Operate ===

impl Operate {
    pub fn start(
        reloader: &Reloader,
        plugins: &Loader,
        standings: &[Standing],
        ingress: &Ingress,
        storage: &Storage,
        upstreams: &Upstreams,
        counters: &Arc<Counters>,
    ) -> anyhow::Result<Self> {
        let watched =
            |(name, stats): (&str, &Arc<_>)| WatchedPlugin { name: name.to_owned(), stats: Arc::clone(stats) };
        let observer = Arc::new(Observer {
            counters: counters.clone(),
            spool: storage.spool.clone(),
            disk: DiskWatch::new(storage.archive.clone(), reloader.running().gateway.data_dir.clone()),
            sessions: ingress.sessions().clone(),
            tls: Current::new(ingress.listeners().tls()),
            upstreams: upstreams.watched().to_vec(),
            plugins: plugins.stats().map(watched).collect(),
            plugin_memory: plugins.memory().cloned(),
            standings: standings.to_vec(),
            limits: Current::new(Limits::of(reloader.running())),
        });
        let (archive, sessions) = (storage.archive.clone(), ingress.sessions().clone());
        let (reloads, taps) = (reloader.handle(), ingress.taps().clone());
        let state = admin::State { observer: observer.clone(), archive, sessions, reloads, taps };
        let stop = CancellationToken::new();
        let admin =
            admin::start(&reloader.running().gateway.data_dir, state, stop.clone()).context("the admin socket")?;
        Ok(Self { admin, observer, stop })
    }

    pub fn observer(&self) -> &Arc<Observer> {
        &self.observer
    }

    /// After a reload.
    pub fn look_at(&self, ingress: &Ingress, config: &Config) {
        self.observer.tls.set(ingress.listeners().tls());
        self.observer.limits.set(Limits::of(config));
    }

    pub fn plugins(&self) -> &[WatchedPlugin] {
        &self.observer.plugins
    }

    pub fn standings(&self) -> &[Standing] {
        &self.observer.standings
    }

    /// Why it ended by itself.
    pub async fn ended(&mut self) -> String {
        format!("the admin socket ended by itself: {:?}", (&mut self.admin).await)
    }

    pub async fn stop(&mut self, by: Instant) {
        self.stop.cancel();
        let _ = tokio::time::timeout_at(by, &mut self.admin).await;
    }

    /// The last lines of the log: what became of all messages, and whether that is all of them.
    pub fn report(&self) {
        let (totals, waiting) = (self.observer.counters.totals(), self.observer.spool.waiting());
        let balance = totals.balance(waiting);
        if balance.missing() != 0 {
            tracing::error!(
                ?balance,
                "message accounting does not balance: a message is missing or was counted twice; please report this"
            );
        }
        for WatchedPlugin { name: plugin, stats } in self.plugins() {
            for (name, metric) in stats.metrics.snapshot() {
                tracing::info!(plugin, "metric {name}={metric}");
            }
        }
        for WatchedPlugin { name: plugin, stats } in self.plugins() {
            tracing::info!(plugin, "stopped; {stats}");
        }
        let counts: Vec<String> = totals.named().iter().map(|(name, n)| format!("{name}={n}")).collect();
        tracing::info!(waiting, accounting = %balance, "stopped; counters {}", counts.join(" "));
    }
}
