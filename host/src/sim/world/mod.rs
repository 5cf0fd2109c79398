//! One run of a plan: everything in it happens in one thread and in virtual time.

mod people;
mod settings;
mod troubles;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use self::settings::Settings;
use super::broker::Broker;
use super::coverage::{self, Happened, happened};
use super::device::Handle;
use super::dice::Dice;
use super::fates::Fates;
use super::gate::Gate;
use super::oracle::Oracle;
use super::plan::{Change, FAULTS_END_MS, Plan, Trouble, What};
use super::process::{Process, Surroundings};
use super::shelf::Shelf;
use super::story::{self, tell};
use crate::base::chance::chosen;
use crate::base::clock;
use crate::spool::log::sim::SimDisk;

/// When all faults are over, everything has to be where it belongs within this time.
const DRAINED_WITHIN: Duration = Duration::from_secs(300);

/// November 2026.
const WALL_CLOCK_MS: u64 = 1_795_000_000_000;

/// How a run went.
pub struct Report {
    /// Broken promises; none is good.
    pub faults: Vec<String>,
    pub story: Vec<String>,
    pub obligations: usize,
    /// What really went wrong.
    pub happened: Happened,
    /// Of the run.
    pub took: Duration,
}

struct World<'a> {
    plan: &'a Plan,
    settings: Settings,
    around: Surroundings,
    process: Option<Process>,
    restart_at: Option<Instant>,
    handles: Vec<Handle>,
    dice: Dice,
    starts: u64,
    fates: Fates,
    shelf: Shelf,
}

/// When a trouble begins, and when it ends.
enum Act {
    Begins(usize),
    Ends(usize),
}

/// The same with the gateway's own log in the story.
pub fn run_with_log(plan: &Plan) -> Report {
    let log = tracing_subscriber::fmt().with_writer(|| story::Log).without_time().with_ansi(false);
    let log = log.with_max_level(tracing::Level::INFO).finish();
    tracing::subscriber::with_default(log, || run(plan))
}

pub fn run(plan: &Plan) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    chosen::seed(Some(plan.seed));
    let lived = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            clock::simulated::set(Some(WALL_CLOCK_MS));
            story::begin();
            World::new(plan).live().await
        })
    }));
    drop(runtime);
    clock::simulated::set(None);
    chosen::seed(None);
    let (story, happened) = (story::end(), coverage::take());
    match lived {
        Ok((faults, obligations, took)) => Report { faults, story, obligations, happened, took },
        Err(panic) => {
            let words = panic.downcast_ref::<String>().cloned();
            let words = words.or_else(|| panic.downcast_ref::<&str>().map(|words| (*words).to_owned()));
            let faults = vec![format!("panicked: {}", words.unwrap_or_default())];
            Report { faults, story, obligations: 0, happened, took: Duration::ZERO }
        }
    }
}

/// What has happened to wills since then may not be written yet.
fn slack(plan: &Plan) -> Duration {
    let is_late = |trouble: &Trouble| trouble.what.is_of_disk() || matches!(trouble.what, What::Settings(_));
    let is_slow = plan.spool_bytes < 4 << 20 || plan.troubles.iter().any(is_late);
    Duration::from_secs(if is_slow { 20 } else { 2 })
}

// === impl World ===

impl<'a> World<'a> {
    fn new(plan: &'a Plan) -> Self {
        let oracle = Oracle::default();
        let usual = plan.upstreams.iter().map(|upstream| Broker::new(upstream, plan.seed, oracle.clone()));
        // Behind the others, which troubles know by their place.
        let first = plan.upstreams.iter().filter_map(|upstream| Broker::first(upstream, plan.seed, &oracle));
        let brokers = usual.chain(first).map(|broker| broker.with_pipes_of(plan.least_pipe)).collect();
        if !plan.troubles.is_empty() {
            // While it looks for a culprit, an innocent one may come late (decision 0019).
            let hate = plan.upstreams.iter().filter(|upstream| upstream.hates_poison);
            oracle.book().unordered.extend(hate.map(|upstream| upstream.name.clone()));
        }
        let (disk, gate) = (SimDisk::default(), Gate::new(plan.seed, plan.least_pipe));
        let around = Surroundings { disk, gate, brokers, oracle, disk_latency_ms: Arc::default() };
        let (settings, dice) = (Settings::new(plan), Dice::new(plan.seed, "world"));
        Self {
            plan,
            settings,
            around,
            process: None,
            restart_at: Some(Instant::now()),
            handles: Vec::new(),
            dice,
            starts: 0,
            fates: Fates::new(slack(plan)),
            shelf: Shelf::default(),
        }
    }

    async fn live(mut self) -> (Vec<String>, usize, Duration) {
        let begun = Instant::now();
        let mut devices = self.people();
        for (at, act) in self.acts() {
            self.until(begun + Duration::from_millis(at)).await;
            match act {
                Act::Begins(index) => self.begin(index).await,
                Act::Ends(index) => self.end(index).await,
            }
        }
        self.until(begun + Duration::from_millis(FAULTS_END_MS)).await;
        self.heal().await;
        let mut faults = Vec::new();
        let finished = self.drain().await;
        if !finished {
            faults.push(self.what_stands_still());
        }
        if let Some(missing) = self.process.as_ref().map(Process::missing).filter(|missing| finished && *missing != 0) {
            faults.push(format!("the accounting is off by {missing}"));
        }
        self.look();
        faults.extend(self.around.gate.panicked());
        let took = begun.elapsed();
        devices.abort_all();
        while devices.join_next().await.is_some() {}
        if let Some(process) = self.process.take() {
            process.kill().await;
        }
        faults.extend(self.around.oracle.judge(finished));
        faults.extend(self.fates.judge(finished));
        (faults, self.around.oracle.obligations(), took)
    }

    fn acts(&self) -> Vec<(u64, Act)> {
        let mut acts = Vec::new();
        for (index, trouble) in self.plan.troubles.iter().enumerate() {
            acts.push((trouble.at_ms, Act::Begins(index)));
            acts.push((trouble.at_ms + trouble.lasts_ms, Act::Ends(index)));
        }
        acts.sort_by_key(|(at, _)| *at);
        acts
    }

    /// Lets time pass. A process that ends is started again, as a supervisor does it.
    async fn until(&mut self, at: Instant) {
        loop {
            let restart_at = self.restart_at.unwrap_or(at).min(at);
            match &mut self.process {
                Some(process) => tokio::select! {
                    biased;
                    reason = process.ended() => {
                        tell!("process", "ends: {reason}");
                        happened("the disk fails, and the process ends");
                        if reason.contains("panicked") {
                            self.around.oracle.broken(format!("the gateway: {reason}"));
                        }
                        self.kill(false).await;
                    }
                    () = sleep_until(at) => return,
                },
                None => {
                    sleep_until(restart_at).await;
                    if self.restart_at.is_none_or(|restart| restart > Instant::now()) {
                        return;
                    }
                    self.start();
                    if Instant::now() >= at {
                        return;
                    }
                }
            }
        }
    }

    fn start(&mut self) {
        self.starts += 1;
        let dice = Dice::new(self.plan.seed, &format!("process{}", self.starts));
        match Process::start(&self.settings.config(self.plan), &self.around, dice) {
            Ok(process) => {
                self.fates.process_begins();
                (self.process, self.restart_at) = (Some(process), None);
            }
            Err(error) => {
                tell!("process", "does not start: {error}");
                self.forget_crash();
                self.restart_at = Some(Instant::now() + Duration::from_secs(1));
            }
        }
    }

    /// The next one comes after a while.
    async fn kill(&mut self, with_power: bool) {
        self.look();
        self.fates.process_ends(false);
        if let Some(process) = self.process.take() {
            process.kill().await;
        }
        match with_power && !self.around.disk.crashed() {
            true => self.around.disk.power_cut(self.dice.next()),
            false => self.forget_crash(),
        }
        self.restart_at = Some(Instant::now() + Duration::from_millis(self.dice.within(1, 3_000)));
    }

    /// Of the process, or of the whole machine, when that was what went wrong.
    fn forget_crash(&mut self) {
        match self.around.disk.crashed() {
            true => {
                self.tear();
                self.around.disk.power_cut(self.dice.next());
            }
            false => self.around.disk.kill(),
        }
    }

    /// What was written and not synced is there in parts, and nobody was promised any of it. A part that is missing comes again from its
    /// device, behind those that are there.
    fn tear(&mut self) {
        happened("a write is torn");
        let upstreams = self.plan.upstreams.iter().map(|upstream| upstream.name.clone());
        let all = upstreams.chain(self.plan.subscribers.iter().map(|subscriber| subscriber.name.clone()));
        self.around.oracle.book().unordered.extend(all);
    }

    /// At what the process says of itself.
    fn look(&self) {
        if let Some(broken) = self.process.as_ref().and_then(|process| process.broken()) {
            self.around.oracle.broken(broken);
        }
    }

    async fn stop(&mut self) {
        self.look();
        self.fates.process_ends(true);
        if let Some(process) = self.process.take() {
            process.stop().await;
            tell!("process", "has stopped");
        }
        self.forget_crash();
        self.restart_at = Some(Instant::now() + Duration::from_millis(self.dice.within(1, 3_000)));
    }

    async fn heal(&mut self) {
        tell!("trouble", "all faults are over");
        self.around.disk.no_fault();
        self.around.disk.set_capacity(None);
        self.around.disk_latency_ms.store(0, Ordering::Relaxed);
        self.around.brokers.iter().for_each(Broker::calm);
        if self.around.disk.crashed() && self.process.is_none() {
            self.forget_crash();
        }
        if self.settings.without_last {
            self.change(Change::WithoutLast, false).await;
        }
    }

    /// Whether everything is where it belongs in time.
    async fn drain(&mut self) -> bool {
        let deadline = Instant::now() + DRAINED_WITHIN;
        while !self.is_drained() {
            if Instant::now() >= deadline {
                return false;
            }
            self.until(Instant::now() + Duration::from_millis(250)).await;
        }
        // What is on its way between two counters.
        sleep(Duration::from_millis(250)).await;
        true
    }

    fn is_drained(&self) -> bool {
        let are_done = self.handles.iter().all(|handle| handle.is_done.load(Ordering::Relaxed));
        are_done && self.process.as_ref().is_some_and(Process::is_drained)
    }

    fn what_stands_still(&self) -> String {
        let is_busy = |handle: &Handle| !handle.is_done.load(Ordering::Relaxed);
        let devices: Vec<&str> = self
            .plan
            .devices
            .iter()
            .zip(&self.handles)
            .filter(|(_, handle)| is_busy(handle))
            .map(|(plan, _)| plan.name.as_str())
            .collect();
        let waiting = self.process.as_ref().map(|process| process.spool.waiting());
        let queued: usize = self.process.as_ref().map_or(0, Process::queued);
        let open = self.around.oracle.book().open();
        format!(
            "stands still {DRAINED_WITHIN:?} after the last fault: devices {devices:?} are not done, {waiting:?} wait in the spool, {queued} bytes for subscribers, {open} acknowledged have not arrived"
        )
    }
}
