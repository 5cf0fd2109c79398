//! The spool's promises, one file each. Turned by hand on a simulated disk, but where threads or a real disk are the point.

use std::time::Instant;

use tokio::sync::Semaphore;

use super::log::sim::SimDisk;
use super::*;
use crate::config::BindingId;
use crate::message::{Message, QoS};
use crate::topic::TopicName;

mod backlog;
mod crash;
mod damage;
mod fair;
mod formats;
mod full;
pub(super) mod manual_driver;
mod order;
mod policies;
mod real;
pub mod records;
mod room;
mod state;

use QoS::{AtLeastOnce as Q1, AtMostOnce as Q0, ExactlyOnce as Q2};

const ALL: usize = usize::MAX;
const NAMES: [&str; 3] = ["one", "two", "three"];
const PLACES: usize = 100_000;

/// A spool, and a device whose records hold places and wait for acks.
struct Bench {
    disk: SimDisk,
    config: config::Spool,
    names: Vec<&'static str>,
    spool: Spool,
    restored: Restored,
    counters: Arc<Counters>,
    lane: Arc<Semaphore>,
    acks: Resolved,
}

/// The smallest log, whose segments have room for a mebibyte each.
fn small() -> config::Spool {
    config::Spool { max_bytes: 4 << 20, free_floor: 0, max_qos0_messages: 2, ..config::Spool::default() }
}

fn message(qos: QoS, text: &str) -> Message {
    Message::new(TopicName::parse("t").unwrap(), text.to_string(), qos)
}

fn output((upstream, qos, text): &(usize, QoS, &str)) -> Output {
    Output { upstream: UpstreamId(*upstream), binding: None, message: message(*qos, text), arrived: Instant::now() }
}

fn key(number: u64) -> Key {
    Key::Queued { client: "device".into(), number }
}

// === impl Bench ===

impl Bench {
    fn new(upstreams: usize) -> Self {
        Self::open(SimDisk::default(), NAMES[..upstreams].to_vec(), small()).unwrap_or_else(|error| panic!("{error}"))
    }

    fn open(disk: SimDisk, names: Vec<&'static str>, config: config::Spool) -> Result<Self, OpenError> {
        let counters = Arc::new(Counters::default());
        let acks = Resolved::default();
        let (spool, restored) = Spool::manually_driven(disk.clone(), &names, &config, counters.clone())?;
        let lane = Arc::new(Semaphore::new(PLACES));
        Ok(Self { disk, config, names, spool, restored, counters, lane, acks })
    }

    /// The process is killed and starts again.
    fn reopen(self) -> Self {
        let Self { disk, config, names, spool, .. } = self;
        drop(spool);
        disk.kill();
        Self::open(disk, names, config).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Commits one record; each output is (upstream, QoS, text).
    fn commit(&self, ticket: u64, outputs: &[(usize, QoS, &str)]) {
        self.commit_with(ticket, outputs, Vec::new());
    }

    fn commit_with(&self, ticket: u64, outputs: &[(usize, QoS, &str)], changes: Vec<Change>) {
        let outputs = outputs.iter().map(output).collect();
        let hold = Hold::from_iter([self.lane.clone().try_acquire_owned().unwrap().into()]);
        let receipt = Receipt::new(ticket, self.acks.clone());
        self.spool.commit(Record {
            outputs,
            changes,
            receipt,
            hold,
            bindings: [BindingId(0)].into_iter().collect(),
            trace: None,
        });
    }

    fn entries(&self, upstream: usize) -> Vec<Entry> {
        self.spool.queue(UpstreamId(upstream)).read(Position::START, ALL, ALL)
    }

    fn read(&self, upstream: usize) -> Vec<String> {
        let text = |entry: &Entry| String::from_utf8_lossy(&entry.message.payload).into_owned();
        self.entries(upstream).iter().map(text).collect()
    }

    fn complete_first(&self, upstream: usize) -> bool {
        let queue = self.spool.queue(UpstreamId(upstream));
        let Some(entry) = queue.read(Position::START, 1, ALL).pop() else { return false };
        queue.complete(entry.position, Fate::Forwarded);
        true
    }

    fn acks(&mut self) -> Vec<u64> {
        std::iter::from_fn(|| self.acks.try_next()).collect()
    }

    fn held(&self) -> usize {
        PLACES - self.lane.available_permits()
    }

    fn is_dead(&self) -> bool {
        matches!(*self.spool.shared.life.borrow(), Life::Dead(_))
    }

    fn weight(&self, upstream: usize) -> usize {
        self.spool.shared.queue_state().weight(upstream)
    }

    fn balance(&self) {
        let c = self.counters.totals();
        let ended = [
            c.forwarded,
            c.upstream_refused,
            c.undelivered,
            c.skipped,
            c.expired,
            c.oversize,
            c.never_sendable,
            c.corrupt,
            c.dropped_full,
        ];
        let ended: u64 = ended.iter().copied().sum();
        assert_eq!(c.committed + c.recovered, self.spool.waiting() as u64 + ended);
    }
}
