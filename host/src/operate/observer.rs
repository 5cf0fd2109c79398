//! Looks at all parts of a gateway that runs, and says what it has seen as one [`Snapshot`].

use std::collections::BTreeMap;
use std::sync::Arc;

use super::parts::{WatchedPlugin, WatchedUpstream};
use super::stopped::{self, snapshot as stopped_snapshot};
use crate::base::current::Current;
use crate::base::log_writer;
use crate::chain::Standing;
use crate::dead_letter::ArchiveHandle;
use crate::ingress::registry::Registry;
use crate::ingress::tls::Acceptor;
use crate::metrics::{Counters, Families, HeldSnapshot, Snapshot, TlsSnapshot};
use crate::plugin::{BreakerState, MemoryTotal};
use crate::spool::{Held, Spool};

pub struct Observer {
    pub counters: Arc<Counters>,
    pub spool: Spool,
    pub archive: ArchiveHandle,
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
}

// === impl Observer ===

impl Observer {
    pub async fn snapshot(&self) -> Snapshot {
        let dead_letters = self.archive.letters().await;
        let totals = self.counters.totals();
        Snapshot {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            waiting: self.spool.waiting(),
            held: self.spool.held().into_iter().map(held).collect(),
            starting: self.starting(),
            stopped: self.standings.get().iter().filter_map(stopped_snapshot).collect(),
            dead_letters,
            log_lines_lost: log_writer::lost(),
            tls: self.tls.get().iter().map(|acceptor| acceptor.snapshot()).collect(),
            upstreams: self.upstreams.iter().map(WatchedUpstream::snapshot).collect(),
            plugins: self.plugins.get().iter().map(|plugin| (plugin.name.clone(), plugin.snapshot())).collect(),
            counters: totals
                .named()
                .into_iter()
                .map(|(name, count)| (name.to_owned(), count))
                .collect::<BTreeMap<_, _>>(),
            metrics: self.families(dead_letters).into_vec(),
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

    fn starting(&self) -> Vec<String> {
        let standings = self.standings.get();
        let starting = standings.iter().filter(|standing| standing.is_starting());
        starting.map(|standing| standing.binding().to_string()).collect()
    }

    pub fn upstream(&self, name: &str) -> Option<&WatchedUpstream> {
        self.upstreams.iter().find(|upstream| upstream.name == name)
    }

    fn families(&self, dead_letters: u64) -> Families {
        let mut families = Families::of(&self.counters);
        self.upstreams.iter().for_each(|upstream| upstream.measure(&mut families));
        self.plugins.get().iter().for_each(|plugin| plugin.measure(&mut families));
        self.standings.get().iter().for_each(|standing| stopped::measure(standing, &mut families));
        families.gauge("tidegate_dead_letters", "Dead letters in the archive.", &[], dead_letters as f64);
        self.tls.get().iter().for_each(|acceptor| measure_tls(&acceptor.snapshot(), &mut families));
        self.measure_memory(&mut families);
        let lost = log_writer::lost() as f64;
        families.counter("tidegate_log_lines_lost_total", "Lines of the log that could not be written.", &[], lost);
        families
    }

    /// What has a limit for all of them together.
    fn measure_memory(&self, to: &mut Families) {
        let help = "What clients hold beside queues and retained messages, and beyond what each is sure of: `broker.limits.memory` at most.";
        to.gauge("tidegate_client_memory_bytes", help, &[], self.sessions.ledger().used() as f64);
        let help = "What waits for subscribers: `broker.limits.max_queued_bytes_total` at most.";
        to.gauge("tidegate_queued_bytes", help, &[], self.sessions.queued_bytes() as f64);
        let help = "Retained messages: `broker.limits.max_retained_bytes` at most.";
        to.gauge("tidegate_retained_bytes", help, &[], self.sessions.retained_bytes() as f64);
        let help = "Memory of the instances of all plugins: `memory_total` of `[engine.limits]` at most.";
        let used = Option::as_ref(&self.plugin_memory.get()).map_or(0, MemoryTotal::used);
        to.gauge("tidegate_plugin_memory_bytes", help, &[], used as f64);
    }
}

/// Moments as Prometheus has them, to compare with `time()`.
fn measure_tls(tls: &TlsSnapshot, to: &mut Families) {
    let help = "When the first certificate in the chain of the listener ends, in seconds since the Unix epoch.";
    let of = [("listener", tls.listener.as_str())];
    if let Some(end) = tls.not_after {
        to.gauge("tidegate_listener_tls_not_after_seconds", help, &of, end as f64);
    }
    let help = "When the first revocation list of the listener is to be replaced, in seconds since the Unix epoch.";
    if let Some(end) = tls.list_next_update {
        to.gauge("tidegate_listener_tls_list_next_update_seconds", help, &of, end as f64);
    }
    let help = "1 when files of TLS have changed and cannot be used: those from before are in use.";
    to.gauge("tidegate_listener_tls_files_refused", help, &of, f64::from(u8::from(tls.not_in_use.is_some())));
}

fn held(Held { upstream, reason, advice }: Held) -> HeldSnapshot {
    HeldSnapshot { upstream, reason, advice }
}
