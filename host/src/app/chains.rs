//! The plugins at work: a lane for each binding that has some, threads for all lanes, and what plugins remember.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use crate::base::kill_point::{self, KillPoint};
use crate::bindings::{Binding, Dispatcher, Table};
use crate::chain::{Chain, Lane, Standing, StarterThreads, Workers, default_threads};
use crate::config::{self, BindingChange, Config, change_of_binding};
use crate::plugin::{self, StateStore};
use crate::setup::changes::{Changes, Plugins, with};
use crate::setup::{Setup, Threads, plugin_state::state_limit};
use crate::spool::{Key, Receipt, Record, Restored, Spool, Value};

pub struct Chains {
    workers: Workers,
    _beginnings: Beginnings,
    plugins: Plugins,
    /// Of bindings that have plugins, and began with the gateway.
    standings: Vec<Standing>,
    retired: Vec<Retired>,
}

/// A lane whose binding is no more. When it is empty it needs its plugins no longer.
struct Retired {
    binding: String,
    lane: Lane,
    /// Whoever has this one may still bring it messages.
    last_table: Arc<Table>,
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

/// A chain that is to take its place in a lane.
struct Swap {
    lane: Lane,
    chain: Chain,
    generation: u32,
}

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
        let stores: Vec<_> = chains.iter().flat_map(Chain::stores).cloned().collect();
        let left = restore_state(config, &stores, spool, restored);
        let (workers, lanes) = Workers::start(default_threads(), chains).context("the chain threads do not start")?;
        let mut lanes = lanes.into_iter();
        let with_lane = |spec: &config::Binding| {
            let lane = if spec.plugins.is_empty() { None } else { lanes.next() };
            let digests = spec.plugins.iter().filter_map(|plugin| setup.plugins.digest(*plugin));
            Binding::new(spec.clone(), lane).with_digests(digests.collect())
        };
        let bindings = config.bindings.iter().map(with_lane).collect();
        let (loader, starter) = (setup.plugins.clone(), beginnings.starters.handle());
        let plugins = Plugins { loader, stores, left: Arc::new(left), starter };
        let standings = setup.standings.clone();
        Ok((Self { workers, _beginnings: beginnings, plugins, standings, retired: Vec::new() }, bindings))
    }

    pub fn plugins(&self) -> &Plugins {
        &self.plugins
    }

    pub fn standings(&self) -> &[Standing] {
        &self.standings
    }

    /// Messages meet other bindings from now on. The table first: what a new chain makes goes where the new configuration says.
    pub fn apply(&mut self, running: &Config, next: &Config, changes: Changes, dispatcher: &Dispatcher) {
        let Changes { loader, mut chains } = changes;
        let before = dispatcher.shared_table();
        self.forget_retired(next);
        self.plugins.stores = with(&self.plugins.stores, &chains);
        self.plugins.loader = loader;
        let (mut bindings, mut swaps) = (Vec::new(), Vec::new());
        for spec in &next.bindings {
            let known = before.share(&spec.name).or_else(|| before.share_of_before(&spec.name));
            let (change, chain) = (change_of_binding(running, next, spec), take(&mut chains, &spec.name));
            bindings.push(match (change, known) {
                (BindingChange::Same, Some(known)) => known,
                (BindingChange::Route, Some(known)) => Arc::new(known.changed(spec.clone())),
                (_, known) => {
                    let (binding, swap) = self.rebuilt(spec, known.as_deref(), chain);
                    swaps.extend(swap);
                    let metrics = dispatcher.counters().bindings.of(&spec.name);
                    Arc::new(binding.with_metrics(metrics))
                }
            });
        }
        swaps.iter().for_each(|swap| swap.lane.expect(&swap.chain));
        dispatcher.replace_table(before.followed_by(bindings));
        kill_point::reach(KillPoint::ReloadTable);
        swaps.into_iter().for_each(|Swap { lane, chain, generation }| lane.replace(chain, generation));
        self.retire(running, next, &before);
        if let Err(error) = self.plugins.loader.remember_versions() {
            tracing::warn!("the versions of plugins are not remembered: {error}");
        }
    }

    /// With its chain, if it has plugins. Where there is a lane already, it stays, also for a binding that has none any more: what comes must not
    /// pass what is in it.
    fn rebuilt(
        &self,
        spec: &config::Binding,
        known: Option<&Binding>,
        chain: Option<Chain>,
    ) -> (Binding, Option<Swap>) {
        let digests = spec.plugins.iter().filter_map(|plugin| self.plugins.loader.digest(*plugin)).collect();
        if let Some((known, lane)) = known.and_then(|known| Some((known, known.lane.clone()?))) {
            let (binding, generation) = known.with_next_chain(spec.clone(), digests);
            let chain = chain.unwrap_or_else(|| Chain::new(Vec::new()));
            return (binding, Some(Swap { lane, chain, generation }));
        }
        let lane = chain.map(|chain| self.workers.add(chain));
        (Binding::new(spec.clone(), lane).with_digests(digests), None)
    }

    /// Those that are not as before need not be tried again.
    fn retire(&mut self, running: &Config, next: &Config, before: &Arc<Table>) {
        let stays = |name: &str| next.bindings.iter().find(|one| *one.name == *name);
        self.standings.retain(|standing| {
            let change = stays(standing.binding()).map(|spec| change_of_binding(running, next, spec));
            let is_same = matches!(change, Some(BindingChange::Same | BindingChange::Route));
            if !is_same {
                standing.give_up();
            }
            is_same
        });
        for (_, gone) in before.iter().filter(|(_, one)| stays(&one.spec.name).is_none()) {
            let Some(lane) = gone.lane.clone() else { continue };
            let binding = gone.spec.name.to_string();
            self.retired.push(Retired { binding, lane, last_table: before.clone() });
        }
    }

    /// Since the reload that took them away nobody has brought them anything, and all that they had is done.
    fn forget_retired(&mut self, next: &Config) {
        self.retired.retain(|Retired { binding, lane, last_table }| {
            let comes_back = next.bindings.iter().any(|one| *one.name == **binding);
            if comes_back {
                return false;
            }
            let is_over = Arc::strong_count(last_table) == 1 && lane.is_idle();
            if is_over {
                lane.replace(Chain::new(Vec::new()), u32::MAX);
            }
            !is_over
        });
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

fn take(chains: &mut Vec<(String, Chain)>, binding: &str) -> Option<Chain> {
    let place = chains.iter().position(|(name, _)| name == binding)?;
    Some(chains.swap_remove(place).1)
}

/// Gives plugins back what they remembered, before the first message. What stays of those that are not there.
fn restore_state(config: &Config, stores: &[StateStore], spool: &Spool, restored: &Restored) -> Vec<(Key, Value)> {
    let orphans = plugin::restore(stores, &restored.state);
    let changes = orphans.settle(stores, state_limit(config));
    let (is_kept, mut left) = (changes.is_empty(), Vec::new());
    spool.commit(Record::changes(changes, Receipt::none()));
    if is_kept {
        left.extend(restored.state.iter().filter(|(key, _)| orphans.has(key)).cloned());
    }
    left
}
