//! The gateway of a simulation: the same rooms as in `app`, put together in the same order, as tasks of one thread. What is not in
//! it: sockets, the admin socket, wasm (a native plugin instead), and the archive of dead letters, for which the oracle stands.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::broker::Broker;
use super::coverage::count;
use super::dice::Dice;
use super::gate::{Gate, Roads};
use super::oracle::Oracle;
use super::plugin::{self, Native};
use super::story::tell;
use crate::access::{Access, Policy};
use crate::base::clock;
use crate::base::ledger::Ledger;
use crate::base::rate_limit::RateLimit;
use crate::bindings::{Binding, Dispatcher, Table};
use crate::bus::{Bus, MailboxLimits, Queues, RetainedLimits};
use crate::chain::{self, Chain};
use crate::config::{BrokerLimits, Config, UpstreamId};
use crate::dead_letter::{DEAD_LETTERS, DeadLetter, Filed};
use crate::egress::{self, DeadLetters, Operator, Undelivered};
use crate::ingress::addresses::Addresses;
use crate::ingress::connection::Context;
use crate::ingress::registry::Registry;
use crate::ingress::wills::Wills;
use crate::metrics::Counters;
use crate::mqtt::Mqtt31;
use crate::spool::log::sim::SimDisk;
use crate::spool::{Fate, Position, Queue, Restored, Spool};

pub const DIR: &str = "/data/spool";

/// A second for each part of a good stop, as in `app`.
const PATIENCE: Duration = Duration::from_secs(1);

pub struct Process {
    pub spool: Spool,
    pub counters: Arc<Counters>,
    registry: Arc<Registry>,
    most_queued: usize,
    gate: Gate,
    tasks: JoinSet<()>,
    senders: Vec<JoinHandle<()>>,
    /// Nobody asks; without them the senders would hear that nobody ever will.
    _operators: Vec<Operator>,
    stop_devices: CancellationToken,
    stop_senders: CancellationToken,
}

/// What stays when a process ends.
#[derive(Clone)]
pub struct Surroundings {
    pub disk: SimDisk,
    pub gate: Gate,
    pub brokers: Vec<Broker>,
    pub oracle: Oracle,
    pub disk_latency_ms: Arc<AtomicU64>,
}

// === impl Process ===

impl Process {
    pub fn start(config: &Config, around: &Surroundings, mut dice: Dice) -> Result<Self, String> {
        let counters = Arc::<Counters>::default();
        let upstreams = config.upstreams.iter().map(|upstream| upstream.name.as_str());
        let names: Vec<&str> = upstreams.chain([DEAD_LETTERS]).collect();
        let opened = Spool::stepped(around.disk.clone(), Path::new(DIR), &names, &config.spool, counters.clone());
        let (spool, restored, stepper) = opened.map_err(|error| error.to_string())?;
        spool.divide_among(&config.writers());
        let mut tasks = JoinSet::new();
        let latency = around.disk_latency_ms.clone();
        tasks.spawn(stepper.run(move || Duration::from_millis(latency.load(Ordering::Relaxed))));
        let (stepper, bindings) = chains(config);
        tasks.spawn(stepper.run(move || Duration::from_millis(if dice.one_in(20) { dice.within(1, 5) } else { 0 })));
        let limits = config.broker.limits.clone();
        let retained =
            RetainedLimits { max_messages: limits.max_retained_messages, max_bytes: limits.max_retained_bytes };
        let bus = Arc::new(Bus::new(retained, counters.clone()));
        let dispatcher = Dispatcher::new(
            config.gateway.id.clone(),
            Table::new(bindings),
            bus.clone(),
            spool.clone(),
            counters.clone(),
        );
        let (stop_devices, stop_senders) = (CancellationToken::new(), CancellationToken::new());
        let (mut senders, mut operators) = (Vec::new(), Vec::new());
        for (index, spec) in config.upstreams.iter().enumerate() {
            let prepared = egress::prepare(spec).map_err(|error| error.to_string())?;
            let (queue, roads) = (spool.queue(UpstreamId(index)), Roads(around.brokers.clone()));
            let shelf = Arc::new(Shelf(around.oracle.clone()));
            let running =
                egress::start_with(roads, prepared, queue, shelf, None, counters.clone(), stop_senders.clone());
            senders.push(running.task);
            operators.push(running.operator);
        }
        let letter_queue = spool.queue(spool.dead_letters().unwrap_or(UpstreamId(usize::MAX)));
        tasks.spawn(letters(letter_queue, around.oracle.clone()));
        let registry = sessions(&limits, &bus, &dispatcher, &restored);
        let addresses = Addresses::new(&limits, usize::MAX);
        let context = Arc::new(Context {
            access: Arc::new(Access::new(Policy { open: vec!["devices".to_owned()], ..Policy::default() })),
            limits,
            mqtt_3_1: Mqtt31::Refused,
            identities: Default::default(),
            bus,
            dispatcher,
            registry: registry.clone(),
            metrics: counters.listeners.of("sim"),
            parked_bytes: Arc::new(AtomicUsize::new(0)),
            drains: Arc::default(),
            complaints: Arc::new(RateLimit::per_second(5)),
            addresses,
        });
        tasks.spawn(sweep(context.clone()));
        around.gate.open(context, stop_devices.clone());
        let waiting = spool.waiting();
        tell!("process", "starts with {waiting} waiting");
        Ok(Self {
            spool,
            counters,
            registry,
            most_queued: config.broker.limits.max_queued_bytes_total,
            gate: around.gate.clone(),
            tasks,
            senders,
            _operators: operators,
            stop_devices,
            stop_senders,
        })
    }

    /// Why it has to end, when it has.
    pub async fn ended(&mut self) -> String {
        let died = self.spool.died();
        tokio::select! {
            biased;
            reason = died => reason,
            ended = self.tasks.join_next() => match ended {
                Some(Err(error)) => format!("a task panicked: {error}"),
                ended => format!("a task ended: {ended:?}"),
            },
        }
    }

    /// Nothing is finished, nothing is said.
    pub async fn kill(mut self) {
        let totals = self.counters.totals();
        count("a message goes to another member of its group", totals.shared_handed_over);
        count("a message is given up for a subscriber", totals.subscriber_given_up);
        count("a message becomes a dead letter of its upstream", totals.undelivered);
        let mut connections = self.gate.close();
        connections.abort_all();
        self.tasks.abort_all();
        self.senders.iter().for_each(JoinHandle::abort);
        while connections.join_next().await.is_some() {}
        while self.tasks.join_next().await.is_some() {}
        for sender in self.senders {
            let _ = sender.await;
        }
    }

    /// In the order in which messages flow.
    pub async fn stop(self) {
        self.stop_devices.cancel();
        let mut connections = self.gate.close();
        let gone = async { while connections.join_next().await.is_some() {} };
        let _ = timeout(PATIENCE, gone).await;
        tokio::time::sleep(PATIENCE).await;
        self.stop_senders.cancel();
        let mut rest = Self { senders: Vec::new(), ..self };
        for sender in self.senders {
            let _ = timeout(2 * PATIENCE, sender).await;
        }
        let _ = timeout(PATIENCE, rest.spool.close()).await;
        rest.tasks.abort_all();
        rest.kill().await;
    }

    /// Messages of devices that are nowhere and under no name.
    pub fn missing(&self) -> i128 {
        self.counters.balance(self.spool.waiting()).missing()
    }

    pub fn is_drained(&self) -> bool {
        let letters = self.spool.dead_letters().map_or(0, |line| self.spool.queue(line).len());
        self.spool.waiting() == 0 && letters == 0 && self.queued() == 0
    }

    /// What is counted as lost without anybody's decision, or held beyond its limit.
    pub fn broken(&self) -> Option<String> {
        let lost = self.counters.totals().acknowledged_lost;
        if lost > 0 {
            return Some(format!("the gateway itself says that it has lost {lost} that were acknowledged"));
        }
        let (queued, most) = (self.queued(), self.most_queued);
        (queued > most).then(|| format!("{queued} bytes wait for subscribers, and {most} may"))
    }

    /// Bytes that wait for subscribers, or are sent to them and not acknowledged.
    pub fn queued(&self) -> usize {
        self.registry.list().iter().map(|session| session.queued_bytes).sum()
    }
}

fn chains(config: &Config) -> (chain::stepped::Stepper, Vec<Binding>) {
    let with_plugins = config.bindings.iter().filter(|binding| !binding.plugins.is_empty());
    let chain = |spec: &crate::config::Binding| Chain::native(vec![Box::new(Native::default())], spec.faults.retry);
    let (stepper, lanes) = chain::stepped::Stepper::new(with_plugins.map(chain).collect());
    let mut lanes = lanes.into_iter();
    let bindings = config.bindings.iter().map(|spec| {
        let lane = if spec.plugins.is_empty() { None } else { lanes.next() };
        Binding::new(spec.clone(), lane)
    });
    (stepper, bindings.collect())
}

fn sessions(limits: &BrokerLimits, bus: &Arc<Bus>, dispatcher: &Arc<Dispatcher>, last: &Restored) -> Arc<Registry> {
    let mailbox = MailboxLimits {
        max_messages: limits.max_queued_messages,
        max_bytes: limits.max_queued_bytes,
        max_retained: limits.max_retained_messages,
    };
    let queues = Queues::new(limits.max_queued_bytes_total, Ledger::new(limits.memory), dispatcher.counters().clone());
    let wills = Wills::new(dispatcher.clone());
    let registry = Arc::new(Registry::new(bus.clone(), wills, mailbox, queues, limits.max_sessions));
    registry.restore(&last.state);
    dispatcher.restore(&last.state);
    registry
}

async fn sweep(context: Arc<Context>) {
    let mut every = tokio::time::interval(Duration::from_secs(1));
    loop {
        every.tick().await;
        context.registry.sweep(clock::now());
    }
}

/// What has left the spool for the archive is kept for ever.
async fn letters(queue: Arc<Queue>, oracle: Oracle) {
    loop {
        queue.wait_after(Position::START).await;
        for entry in queue.read(Position::START, 256, 1 << 20) {
            if let Ok(letter) = DeadLetter::decode(&entry.message.payload) {
                let (id, _) = plugin::read(&letter.message.payload);
                tell!("letters", "{id}: {}", letter.metadata.reason);
                oracle.letter(&id);
            }
            queue.complete(entry.position, Fate::Archived);
        }
    }
}

/// What an upstream does not take is kept for ever, too.
struct Shelf(Oracle);

impl DeadLetters for Shelf {
    fn keep(&self, letters: Vec<Undelivered>) -> Pin<Box<dyn Future<Output = Result<Filed, String>> + Send>> {
        for letter in &letters {
            let (id, _) = plugin::read(&letter.message.payload);
            tell!("letters", "{id}: {}", letter.reason);
            self.0.letter(&id);
        }
        Box::pin(std::future::ready(Ok(Filed::all(letters.len()))))
    }
}
