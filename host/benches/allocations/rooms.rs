//! The rooms that have threads: from a message to a record that is safe, and from there to the upstream.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use tempfile::TempDir;
use tidegate::bindings::{Binding, Dispatcher, Inbound, Table};
use tidegate::bus::{Bus, RetainedLimits};
use tidegate::chain::Workers;
use tidegate::config::UpstreamId;
use tidegate::dead_letter::Filed;
use tidegate::egress::{self, DeadLetters, Prepared, Undelivered};
use tidegate::message::{Message, Origin, QoS};
use tidegate::metrics::Counters;
use tidegate::setup;
use tidegate::spool::{Output, Receipt, Record, Resolved, Spool};
use tidegate_tests::binary;
use tidegate_tests::eventually::soon;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::config::config;
use crate::row;
use crate::shared::messages::{BATCH, json, message};
use crate::shared::tally::Row;
use crate::upstream;

const MESSAGES: usize = 250 * BATCH;

/// The upstream takes everything.
struct NoLetters;

impl DeadLetters for NoLetters {
    fn keep(&self, letters: Vec<Undelivered>) -> Pin<Box<dyn Future<Output = Result<Filed, String>> + Send>> {
        Box::pin(std::future::ready(Err(format!("{} were not to come", letters.len()))))
    }
}

struct Rooms {
    dispatcher: Arc<Dispatcher>,
    spool: Spool,
    counters: Arc<Counters>,
    upstream: Prepared,
    _workers: Workers,
    _folder: TempDir,
}

pub fn rows() -> Vec<Row> {
    let runtime = Runtime::new().expect("a runtime");
    let mut rows = Vec::new();
    for (name, with_plugin) in [("bindings and spool, QoS 1", false), ("the same with lane and JSON plugin", true)] {
        let rooms = Rooms::new(with_plugin);
        let message = message(&json(), QoS::AtLeastOnce);
        rooms.dispatch(&message, &runtime);
        rows.push(row(name, MESSAGES, || rooms.dispatch(&message, &runtime)));
    }
    for (name, qos) in [("QoS 0", QoS::AtMostOnce), ("QoS 1", QoS::AtLeastOnce), ("QoS 2", QoS::ExactlyOnce)] {
        let (rooms, message) = (Rooms::new(false), message(&json(), qos));
        let commit = row(&format!("spool: until it is safe, {name}"), MESSAGES, || rooms.commit(&message, &runtime));
        let egress = row(&format!("egress: until it is acknowledged, {name}"), MESSAGES, || rooms.forward(&runtime));
        rows.extend([commit, egress]);
    }
    rows
}

// === impl Rooms ===

impl Rooms {
    fn new(with_plugin: bool) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = config(folder.path(), upstream::start(), with_plugin);
        let prepared = setup::prepare(&config, Some(&binary::shared_folder().join("compiled")));
        let mut prepared = prepared.unwrap_or_else(|refusals| panic!("{refusals}"));
        let counters = Arc::<Counters>::default();
        let (spool, _) = Spool::open(folder.path(), &["up"], &config.spool, counters.clone()).expect("a spool");
        let (workers, lanes) = Workers::start(1, prepared.chains).expect("a thread");
        let mut lanes = lanes.into_iter();
        let table = Table::new(config.bindings.iter().map(|spec| Binding::new(spec.clone(), lanes.next())).collect());
        let bus = Arc::new(Bus::new(RetainedLimits { max_messages: 0, max_bytes: 0 }, counters.clone()));
        let dispatcher = Dispatcher::new("bench".to_owned(), table, bus, spool.clone(), counters.clone());
        let upstream = prepared.upstreams.remove(0);
        Self { dispatcher, spool, counters, upstream, _workers: workers, _folder: folder }
    }

    /// As a connection does it, a read's worth at once.
    fn dispatch(&self, message: &Message, runtime: &Runtime) {
        let (acks, client): (_, Arc<str>) = (Resolved::default(), "device".into());
        let listener = self.dispatcher.counters().listeners.of("bench");
        for _ in 0..MESSAGES / BATCH {
            let origin = Arc::new(Origin {
                client: client.clone(),
                arrived_ms: 0,
                hops: 0,
                principal: None,
                source: None,
                trace: None,
            });
            for ticket in 0..BATCH as u64 {
                let (message, origin, arrived) = (message.clone(), origin.clone(), Instant::now());
                let (receipt, changes) = (Receipt::new(ticket, acks.clone()), Vec::new());
                let inbound = Inbound { message, origin, arrived, receipt, changes, attempts: 0, caused: None };
                let pending = self.dispatcher.receive(inbound, &listener).expect("a binding that matches");
                assert!(self.dispatcher.try_start(pending).is_ok(), "a place in the lane");
            }
            (0..BATCH).for_each(|_| _ = runtime.block_on(acks.next()));
        }
    }

    fn commit(&self, message: &Message, runtime: &Runtime) {
        let acks = Resolved::default();
        for _ in 0..MESSAGES / BATCH {
            for ticket in 0..BATCH as u64 {
                let output = Output {
                    upstream: UpstreamId(0),
                    binding: None,
                    message: message.clone(),
                    arrived: Instant::now(),
                };
                let receipt = Receipt::new(ticket, acks.clone());
                self.spool.commit(Record { outputs: vec![output], receipt, ..Record::default() });
            }
            (0..BATCH).for_each(|_| _ = runtime.block_on(acks.next()));
        }
    }

    /// All that waits, over a connection of its own.
    fn forward(&self, runtime: &Runtime) {
        let stop = CancellationToken::new();
        let queue = self.spool.queue(UpstreamId(0));
        let (letters, counters) = (Arc::new(NoLetters), self.counters.clone());
        let started = runtime
            .block_on(async { egress::start(self.upstream.clone(), queue, letters, None, counters, stop.clone()) });
        soon("all that waits is forwarded", || self.spool.waiting() == 0);
        stop.cancel();
        runtime.block_on(started.task).expect("a sender that ends in good order");
    }
}
