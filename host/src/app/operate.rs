//! What an operator sees: the admin socket while the gateway runs, the log at its start and at its end.

use std::sync::Arc;

use anyhow::Context as _;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ingress::Ingress;
use super::storage::Storage;
use super::upstreams::Upstreams;
use crate::config::Config;
use crate::metrics::Counters;
use crate::operate::admin;
use crate::plugin::{LoadedPlugin, PluginStats};
use crate::setup::Setup;
use crate::spool::Spool;

pub struct Operate {
    admin: JoinHandle<()>,
    plugins: Vec<(String, Arc<PluginStats>)>,
    stop: CancellationToken,
}

// === impl Operate ===

impl Operate {
    pub fn start(
        config: &Config,
        plugins: &[LoadedPlugin],
        ingress: &Ingress,
        storage: &Storage,
        upstreams: &Upstreams,
        counters: &Arc<Counters>,
    ) -> anyhow::Result<Self> {
        let plugins: Vec<_> = plugins.iter().map(|plugin| (plugin.name().to_owned(), plugin.stats().clone())).collect();
        let state = admin::State {
            archive: storage.archive.clone(),
            sessions: ingress.sessions().clone(),
            spool: storage.spool.clone(),
            counters: counters.clone(),
            upstreams: upstreams.statuses().to_vec(),
            operators: upstreams.operators().to_vec(),
            plugins: plugins.clone(),
        };
        let stop = CancellationToken::new();
        let admin = admin::start(&config.gateway.data_dir, state, stop.clone()).context("the admin socket")?;
        Ok(Self { admin, plugins, stop })
    }

    pub fn plugins(&self) -> &[(String, Arc<PluginStats>)] {
        &self.plugins
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
    pub fn report(&self, spool: &Spool, counters: &Counters) {
        let balance = counters.balance(spool.waiting());
        if balance.missing() != 0 {
            tracing::error!(
                ?balance,
                "message accounting does not balance: a message is missing or was counted twice; please report this"
            );
        }
        for (plugin, stats) in &self.plugins {
            for (name, metric) in stats.metrics.snapshot() {
                tracing::info!(plugin, "metric {name}={metric}");
            }
        }
        for (plugin, stats) in &self.plugins {
            tracing::info!(plugin, "stopped; {stats}");
        }
        let counts: Vec<String> = counters.snapshot().iter().map(|(name, n)| format!("{name}={n}")).collect();
        tracing::info!(waiting = spool.waiting(), accounting = %balance, "stopped; counters {}", counts.join(" "));
    }
}

pub fn log_plugins(setup: &Setup) {
    for plugin in &setup.plugins {
        let sha256 = &plugin.component().inspection().sha256;
        tracing::info!(plugin = plugin.name(), sha256, origin = %plugin.provenance(), "plugin loaded");
    }
    if setup.compiled() > 0 {
        tracing::info!(components = setup.compiled(), "compiled; the next start finds them in the cache");
    }
}
