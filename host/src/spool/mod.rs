//! Between the chain and the upstreams: where the outcome of a message is kept until the upstream has it.
//!
//! ```text
//!  chain ── commit(record) ──▶ incoming ──▶ committer ──▶ log (one write, one fdatasync for everybody who waits)
//!                                               │            │
//!     ack ◀── receipt ◀── place, confirm ◀──────┘         refill
//!                                               ▼            ▼
//!                     line of upstream 0: what is next in memory, the backlog in the log ── read / complete ──▶ egress
//!                     line of upstream 1: ...                                      ◀── mark, remember, confirmed ──
//! ```
//!
//! - **One place for durability.** A record is safe when its frame is in the log; only then are its outputs seen by egress
//!   and its [`Receipt`] resolved, and the ack to the device follows from the receipt alone.
//! - **Whole or not at all.** All outputs of a record, and all changes to the durable state that it causes, are one frame.
//! - **One order.** Records are written in commit order, so that each upstream sees commit order, also after a crash.
//! - **Numbers.** Each QoS 1 or 2 output has a number, contiguous for its upstream, given when it is written. It is in the
//!   frame, so that damage shifts nothing; the packet id follows from it, so that a repeat after a crash has the same one.
//! - **Exactly once** needs three things to be durable before the next step: the session, before anything is sent in it; that a
//!   message was received, before PUBREL; that it is done, before its place in the window is given away.
//! - **Bounded.** The log has a cap and leaves the file system a floor; what has no room waits, holding its lane permits, so
//!   that the lanes fill and the pressure travels back to the devices. Memory holds the head of each backlog only.
//! - **QoS 0** stays in memory and never waits on its own: a ring per upstream, the oldest goes first and is counted. (In a record
//!   that also has QoS 1 or 2 outputs it goes with them.)
//! - **Read is not remove.** An entry stays until [`Queue::complete`]. Every entry ends under exactly one [`Fate`]: at all times
//!   `committed + recovered = waiting + forwarded + refused + expired + oversize + never_sendable + corrupt + dropped_full`.
//! - **Dead is dead.** After an error of the disk nothing is acknowledged, [`Spool::died`] resolves, and the process must end.
//!
//! The rooms: [`log`] is bytes on a disk; [`image`] is what they mean, folded; [`committer`] writes; [`queue_state`] and [`upstream_queue`] are the
//! queue state in memory; [`refill`] reads a backlog back. One log for all upstreams, because a record for several of them must be
//! one frame.
//!
//! Not here: expiry is judged by the reader, which knows the time; what a value of the durable state means. Of the keys only so much
//! is known as decides what may overtake what when the log is full (`committer/bypass.rs`, `committer/barrier.rs`).

mod batch;
mod committer;
mod completions;
mod followed;
mod frame;
mod heartbeat;
mod held;
mod image;
mod in_flight;
mod inspect;
mod intervals;
mod key;
pub mod log;
mod message;
mod offsets;
mod open;
mod parts;
mod purge;
mod qos0_ring;
mod queue;
mod queue_state;
mod receipt;
mod record;
mod refill;
mod resolved;
mod restored;
mod runs;
mod shared;
mod sink;
mod state;
#[cfg(test)]
pub(crate) mod stepped;
mod threads;
mod unread;
mod upstream_queue;
mod value;
mod wake_ups;
pub(crate) mod wire;

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

pub use self::completions::Confirmed;
pub use self::held::Held;
pub use self::in_flight::{InFlight, Part};
pub use self::inspect::{Backlog, View, Waiting};
pub use self::intervals::Intervals;
pub use self::key::{Change, Key, Source};
pub use self::message::{decode_message, encode_message};
use self::open::Parts;
pub use self::purge::purge;
pub use self::queue::Queue;
use self::queue_state::QueueState;
pub use self::receipt::Receipt;
pub use self::record::{Entry, Fate, Hold, Output, Place, Position, Record};
pub use self::resolved::Resolved;
pub use self::restored::{OpenError, Orphan, Report, Restored};
pub use self::sink::{Mark, Recovered, SinkState};
use self::threads::Life;
pub use self::value::Value;
use self::wake_ups::Signals;
pub use self::wire::WireError;
use crate::base::fault::{self, Fault};
use crate::config::{self, UpstreamId};
use crate::metrics::Counters;

/// The line of dead letters. Its reader is the archive, not an upstream, and it stands outside the counts of what is forwarded.
pub const DEAD_LETTERS: &str = "$dead-letters";

/// What has been accepted and not yet forwarded, for all upstreams. Ends with its last handle.
#[derive(Clone)]
pub struct Spool {
    shared: Arc<Shared>,
    _owner: Arc<Owner>,
}

/// What one record may take.
struct Room {
    names: Vec<Arc<str>>,
    qos0: config::Qos0,
    max_record: usize,
}

/// Tells the threads to finish when the last [`Spool`] goes.
struct Owner(Arc<Shared>);

/// One mutex for all upstreams, because a record is placed for several of them in one step. It is a std mutex: nobody
/// awaits or touches the disk while holding it, and chain threads are not async.
struct Shared {
    queue_state: Mutex<QueueState>,
    /// For the committer and for the refill: there is something to do.
    work: Condvar,
    wants: Condvar,
    life: watch::Sender<Life>,
    signals: Vec<Signals>,
    recovered: Vec<Recovered>,
    max_age: Option<Duration>,
    room: Room,
    dead_letters: Option<usize>,
    #[cfg(test)]
    manual_driver: std::sync::OnceLock<Mutex<Box<dyn tests::manual_driver::Driver>>>,
}

// === impl Spool ===

impl Spool {
    /// Opens the spool in `dir`, or makes it, and recovers what is there. `upstreams` are their names, because the log knows
    /// upstreams by name: a changed configuration finds its own.
    pub fn open(
        dir: &Path,
        upstreams: &[&str],
        config: &config::Spool,
        counters: Arc<Counters>,
    ) -> Result<(Self, Restored), OpenError> {
        let parts = open::open(log::OsDisk, dir, upstreams, config, counters)?;
        let Parts { shared, committer, refill, restored } = parts;
        threads::start(&shared, committer, refill, open::options(config).sync).map_err(OpenError::Thread)?;
        Ok((Self::new(shared), restored))
    }

    /// A spool for tests of other rooms, on a disk that is only simulated: every record is safe when `commit` returns.
    #[cfg(test)]
    pub fn in_memory(upstreams: usize, counters: Arc<Counters>) -> Self {
        let names: Vec<String> = (0..upstreams).map(|index| format!("upstream{index}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let opened = Self::manually_driven(log::sim::SimDisk::default(), &names, &config::Spool::default(), counters);
        opened.unwrap_or_else(|error| panic!("{error}")).0
    }

    fn new(shared: Arc<Shared>) -> Self {
        Self { _owner: Arc::new(Owner(shared.clone())), shared }
    }

    /// Takes over the outcome of one input. Never blocks: it is resolved when it is durable, or never.
    ///
    /// Outputs name their upstream by its index in the configuration; an index that does not exist is a bug of the
    /// caller, and the record is neither kept nor acknowledged.
    pub fn commit(&self, record: Record) {
        let settled = self.shared.queue_state().commit(record);
        self.shared.tell();
        if let Some(record) = settled {
            record.receipt.resolve();
        }
    }

    /// Whether a record goes into a segment. One that does not is refused.
    pub fn fits(&self, record: &Record) -> bool {
        let Room { names, qos0, max_record } = &self.shared.room;
        batch::fits(record, names, *qos0, *max_record)
    }

    /// The same with so many bytes more, which stand for themselves.
    pub fn fits_beside(&self, record: &Record, more: usize) -> bool {
        let Room { names, qos0, max_record } = &self.shared.room;
        batch::fits(record, names, *qos0, max_record.saturating_sub(more))
    }

    /// Takes nothing over of an input, and tells whoever waits for it.
    pub fn refuse(&self, record: Record) {
        committer::tell_oversize(&record);
        self.shared.queue_state().refuse_new(&record.outputs);
        if fault::is_on(Fault::OversizeAcked) {
            return record.receipt.resolve();
        }
        record.receipt.refuse();
    }

    /// Bytes of the largest record.
    pub fn max_record(&self) -> usize {
        self.shared.room.max_record
    }

    /// The reading side for one upstream. It has one reader: the task that owns the connection.
    pub fn queue(&self, upstream: UpstreamId) -> Arc<Queue> {
        Arc::new(Queue::new(self.shared.clone(), upstream))
    }

    /// The line that [`DEAD_LETTERS`] was opened as, for outputs and for its queue.
    pub fn dead_letters(&self) -> Option<UpstreamId> {
        self.shared.dead_letters.map(UpstreamId)
    }

    /// How many bindings write to each upstream: they have equal parts of its share, when it is short ([`committer`]). One, unless it is said.
    /// To be called before anything is committed.
    pub fn divide_among(&self, bindings: &[usize]) {
        self.shared.queue_state().divide_among(bindings);
    }

    /// Messages that were committed, now or by an earlier process, and have not met their [`Fate`].
    pub fn waiting(&self) -> usize {
        self.shared.queue_state().waiting()
    }

    /// Of them, those for an upstream of the configuration: what a stop may hope to get rid of.
    pub fn deliverable(&self) -> usize {
        self.shared.queue_state().deliverable()
    }

    /// Why devices are held back, if they are.
    pub fn held(&self) -> Vec<Held> {
        self.shared.queue_state().held.clone()
    }

    /// Resolves, with the reason, when nothing can be made safe any more: the process must end, and soon.
    pub fn died(&self) -> impl Future<Output = String> + Send + use<> {
        let mut life = self.shared.life.subscribe();
        async move {
            let end = life.wait_for(|life| matches!(life, Life::Dead(_))).await.map(|life| life.clone());
            match end {
                Ok(Life::Dead(reason)) => reason,
                // Closed in good order, and gone.
                _ => std::future::pending().await,
            }
        }
    }

    /// Writes what waits and frees the folder. What a full disk has no room for is not acknowledged.
    pub async fn close(&self) {
        self.shared.close();
        let mut life = self.shared.life.subscribe();
        // The sender is in `self.shared`: it does not go before us.
        let _ = life.wait_for(|life| *life != Life::Open).await;
    }
}

// === impl Owner ===

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.close();
    }
}

// === impl Shared ===

impl Shared {
    fn queue_state(&self) -> MutexGuard<'_, QueueState> {
        // A panic elsewhere ends the process; until then the queue state is still the best there is.
        self.queue_state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(self: &Arc<Self>) {
        self.queue_state().closing = true;
        self.notify();
    }
}

#[cfg(test)]
mod tests;
