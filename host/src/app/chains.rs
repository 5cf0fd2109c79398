//! The plugins at work: a lane for each binding that has some, threads for all lanes, and what plugins remember.

use std::time::Duration;

use anyhow::Context as _;

use crate::bindings::Binding;
use crate::chain::{Chain, StarterThreads, Workers, default_threads};
use crate::config::{self, Config};
use crate::plugin;
use crate::setup::{Setup, Threads, plugin_state::state_limit};
use crate::spool::{Receipt, Record, Restored, Spool};

pub struct Chains {
    workers: Workers,
    _beginnings: Beginnings,
}

/// The threads that plugins are compiled and started on.
pub struct Beginnings {
    starters: StarterThreads,
    compilers: StarterThreads,
}

/// How long devices wait for plugins that take their time to start. What has not started then goes on to, and its binding holds its
/// messages. For what has to be compiled they do not wait at all.
const START_PATIENCE: Duration = Duration::from_secs(1);
const LOOK_EACH: Duration = Duration::from_millis(5);

// === impl Chains ===

impl Chains {
    /// Takes the chains out of `setup`. The bindings with their lanes, in the order of the configuration.
    pub fn start(
        config: &Config,
        setup: &mut Setup,
        beginnings: Beginnings,
        spool: &Spool,
        restored: &Restored,
    ) -> anyhow::Result<(Self, Vec<Binding>)> {
        let chains = std::mem::take(&mut setup.chains);
        restore_state(config, &chains, spool, restored);
        let (workers, lanes) = Workers::start(default_threads(), chains).context("the chain threads do not start")?;
        let mut lanes = lanes.into_iter();
        let with_lane = |spec: &config::Binding| {
            let lane = if spec.plugins.is_empty() { None } else { lanes.next() };
            let digests = spec.plugins.iter().filter_map(|plugin| setup.plugins.digest(*plugin));
            Binding::new(spec.clone(), lane).with_digests(digests.collect())
        };
        let bindings = config.bindings.iter().map(with_lane).collect();
        Ok((Self { workers, _beginnings: beginnings }, bindings))
    }

    /// The name of a thread that ended and should not have.
    pub fn died(&self) -> impl Future<Output = String> + use<> {
        self.workers.died()
    }

    pub async fn stop(self, within: Duration) {
        let workers = self.workers;
        let unfinished = tokio::task::spawn_blocking(move || workers.shutdown(within)).await.unwrap_or(0);
        if unfinished > 0 {
            tracing::warn!(
                unfinished,
                "messages whose plugins did not finish: not acknowledged, their devices keep them"
            );
        }
    }
}

// === impl Beginnings ===

impl Beginnings {
    pub fn spawn() -> std::io::Result<Self> {
        Ok(Self { starters: StarterThreads::spawn()?, compilers: StarterThreads::spawn_compilers()? })
    }

    pub fn threads(&self) -> Threads {
        Threads { starter: self.starters.handle(), compilers: self.compilers.handle() }
    }
}

/// For those that may keep the gateway from starting as long as it takes: each has its deadline. An error when one does.
pub async fn wait_for_plugins(setup: &Setup) -> anyhow::Result<()> {
    let patience = tokio::time::Instant::now() + START_PATIENCE;
    loop {
        let strict = setup.strict().transpose()?;
        if strict.is_some() && (setup.is_settled() || tokio::time::Instant::now() >= patience) {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EACH).await;
    }
}

/// Gives plugins back what they remembered, before the first message.
fn restore_state(config: &Config, chains: &[Chain], spool: &Spool, restored: &Restored) {
    let stores: Vec<_> = chains.iter().flat_map(Chain::stores).cloned().collect();
    let orphans = plugin::restore(&stores, &restored.state);
    let changes = orphans.settle(&stores, state_limit(config));
    spool.commit(Record::changes(changes, Receipt::none()));
}
