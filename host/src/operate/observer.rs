//! Looks at all parts of a gateway that runs, and says what it has seen as one [`Snapshot`].

use std::collections::BTreeMap;
use std::sync::Arc;

use super::disk::{DiskWatch, OnDisk};
use super::measures::{self, Limits};
use super::parts::{WatchedPlugin, WatchedUpstream};
use super::stopped::{self, snapshot as stopped_snapshot};
use crate::base::current::Current;
use crate::base::log_writer;
use crate::chain::Standing;
use crate::ingress::registry::Registry;
use crate::ingress::tls::Acceptor;
use crate::metrics::{Counters, Families, HeldSnapshot, Snapshot};
use crate::plugin::{BreakerState, MemoryTotal};
use crate::spool::{Held, Spool};

pub struct Observer {
    pub counters: Arc<Counters>,
    pub spool: Spool,
    pub disk: DiskWatch,
    /// What clients hold.
    pub sessions: Arc<Registry>,
    /// Of listeners that have it.
    pub tls: Current<Vec<Arc<Acceptor>>>,
    /// In the order of the configuration, as are plugins.
    pub upstreams: Vec<WatchedUpstream>,
    pub plugins: Current<Vec<WatchedPlugin>>,
    /// None without plugins.
    pub plugin_memory: Current<Option<MemoryTotal>>,
    /// Of bindings that have plugins.
    pub standings: Current<Vec<Standing>>,
    pub limits: Current<Limits>,
}

// === impl Observer ===

impl Observer {
    pub async fn snapshot(&self) -> Snapshot {
        let disk = self.on_disk().await;
        let totals = self.counters.totals();
        Snapshot {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            waiting: self.spool.waiting(),
            held: self.spool.held().into_iter().map(held).collect(),
            starting: self.starting(),
            stopped: self.standings.get().iter().filter_map(stopped_snapshot).collect(),
            dead_letters: disk.letters,
            log_lines_lost: log_writer::lost(),
            tls: self.tls.get().iter().map(|acceptor| acceptor.snapshot()).collect(),
            upstreams: self.upstreams.iter().map(WatchedUpstream::snapshot).collect(),
            plugins: self.plugins.get().iter().map(|plugin| (plugin.name.clone(), plugin.snapshot())).collect(),
            counters: totals
                .named()
                .into_iter()
                .map(|(name, count)| (name.to_owned(), count))
                .collect::<BTreeMap<_, _>>(),
            metrics: self.families(&disk).into_vec(),
        }
    }

    /// What is sent again now comes back at once, because no plugin is asked there; of one binding or plugin, or of all.
    pub fn resting(&self, binding: Option<&str>, plugin: Option<&str>) -> Vec<String> {
        let fits = |wanted: Option<&str>, is: &str| wanted.is_none_or(|wanted| wanted == is);
        let (all, standings) = (self.plugins.get(), self.standings.get());
        let plugins = all.iter().filter(|one| fits(plugin, &one.name));
        let breakers = plugins.flat_map(|one| one.stats.breakers().into_iter().map(|breaker| (&one.name, breaker)));
        let open = breakers.filter(|(_, (at, state))| fits(binding, at) && *state == BreakerState::Open);
        let open = open.map(|(plugin, (binding, _))| {
            format!(
                "the circuit breaker of plugin `{plugin}` in binding `{binding}` is open: what is sent there now comes \
                 back as a dead letter; wait until `tidegate status` no longer says so"
            )
        });
        let stopped = standings.iter().filter(|one| fits(binding, one.binding()));
        let stopped = stopped.filter_map(|one| Some((one.binding(), one.stopped()?.why)));
        let stopped = stopped.filter(|(_, why)| fits(plugin, &why.plugin));
        let stopped = stopped.map(|(binding, why)| format!("binding `{binding}` is stopped: {}", why.reason));
        open.chain(stopped).collect()
    }

    pub(super) fn starting(&self) -> Vec<String> {
        let standings = self.standings.get();
        let starting = standings.iter().filter(|standing| standing.is_starting());
        starting.map(|standing| standing.binding().to_string()).collect()
    }

    pub fn upstream(&self, name: &str) -> Option<&WatchedUpstream> {
        self.upstreams.iter().find(|upstream| upstream.name == name)
    }

    /// What the disk says, as far as it answers.
    pub async fn on_disk(&self) -> OnDisk {
        self.disk.look().await
    }

    pub fn families(&self, disk: &OnDisk) -> Families {
        let mut families = Families::of(&self.counters);
        self.upstreams.iter().for_each(|upstream| upstream.measure(&mut families));
        self.plugins.get().iter().for_each(|plugin| plugin.measure(&mut families));
        self.standings.get().iter().for_each(|standing| stopped::measure(standing, &mut families));
        measures::losses(self, &mut families);
        measures::storage(self, disk, &mut families);
        measures::memory(self, &mut families);
        measures::census(&self.sessions.census(), &mut families);
        self.tls.get().iter().for_each(|acceptor| measures::tls(&acceptor.snapshot(), &mut families));
        let lost = log_writer::lost() as f64;
        families.counter("tidegate_log_lines_lost_total", "Lines of the log that could not be written.", &[], lost);
        families
    }
}

fn held(Held { upstream, reason, advice }: Held) -> HeldSnapshot {
    HeldSnapshot { upstream, reason, advice }
}
