//! Between the chain and the upstreams: where the outcome of a message is kept until the upstream has it.
//!
//! ```text
//!  chain ── commit(record) ──▶ ledger ──┬─▶ line of upstream 0 ─ read / complete ─▶ egress
//!                                │      └─▶ line of upstream 1 ─ read / complete ─▶ egress
//!                                └─▶ waiting (no room: the record keeps its lane permits)
//! ```
//!
//! - **One place for durability.** A record is safe when [`Spool::commit`] admits it; only then is its [`Receipt`]
//!   resolved, and the ack to the device follows from the receipt alone. Today "safe" means "in memory"; the durable
//!   log goes inside `commit`, and no caller changes.
//! - **Whole or not at all.** All outputs of a record are admitted in one step. When one of its upstreams has no room,
//!   the record waits, and with it what follows it to *any* of its upstreams: order is kept for each upstream, and a
//!   record for a free upstream passes by.
//! - **Bounded.** QoS 1 and 2 have a cap on count and on bytes per upstream. What waits beyond it is bounded by the
//!   lanes: a waiting record keeps its permits, so the lane fills, and the pressure travels back to the devices.
//! - **QoS 0 never waits** on its own: a ring per upstream, the oldest goes first and is counted. (In a record that also has
//!   QoS 1 or 2 outputs it goes with them.)
//! - **Read is not remove.** An entry stays until [`Queue::complete`], so that a sender that lost its session reads again
//!   from [`Position::START`]. Every entry ends under exactly one [`Fate`]: at all times
//!   `committed = waiting + forwarded + refused + expired + oversize + dropped_full`.
//!
//! Not here: expiry is judged by the reader, which knows the time; packet ids belong to the connection.

mod key;
mod ledger;
mod line;
mod message;
mod queue;
mod receipt;
mod record;
mod restored;
pub(crate) mod wire;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

pub use self::key::{Change, Key};
use self::ledger::{Ledger, Settled};
pub use self::message::{decode_message, encode_message};
pub use self::queue::Queue;
pub use self::receipt::Receipt;
pub use self::record::{Entry, Fate, Output, Position, Record};
pub use self::restored::{OpenError, Report, Restored};
use crate::control::config;
use crate::control::counters::Counters;

/// What has been accepted and not yet forwarded, for all upstreams.
#[derive(Clone)]
pub struct Spool {
    shared: Arc<Shared>,
}

/// One mutex for all upstreams, because a record is admitted to several of them in one step. It is a std mutex: nobody
/// awaits while holding it, and chain threads are not async.
struct Shared {
    ledger: Mutex<Ledger>,
    /// One for each upstream: something new is there to read.
    arrivals: Vec<Arc<Notify>>,
}

// === impl Spool ===

impl Spool {
    pub fn new(upstreams: usize, limits: &config::Spool, counters: Arc<Counters>) -> Self {
        let arrivals: Vec<_> = (0..upstreams).map(|_| Arc::new(Notify::new())).collect();
        let ledger = Mutex::new(Ledger::new(arrivals.clone(), limits.clone(), counters));
        Self { shared: Arc::new(Shared { ledger, arrivals }) }
    }

    /// Opens the spool in `dir`, or makes it, and recovers what is there. `upstreams` are their names, because the log knows
    /// upstreams by name: a changed configuration finds its own.
    pub fn open(
        dir: &Path,
        upstreams: &[&str],
        config: &config::Spool,
        counters: Arc<Counters>,
    ) -> Result<(Self, Restored), OpenError> {
        let _ = dir;
        Ok((Self::new(upstreams.len(), config, counters), Restored::default()))
    }

    /// A spool for tests of other rooms: it keeps nothing, and every record is safe when `commit` returns.
    #[cfg(test)]
    pub fn in_memory(upstreams: usize, counters: Arc<Counters>) -> Self {
        Self::new(upstreams, &config::Spool::default(), counters)
    }

    /// Resolves, with the reason, when nothing can be made safe any more: the process must end, and soon.
    pub fn died(&self) -> impl Future<Output = String> + Send + use<> {
        std::future::pending()
    }

    /// Takes over the outcome of one input. Never blocks: what has no room waits inside, in order.
    ///
    /// Outputs name their upstream by its index in the configuration; an index that does not exist is a bug of the
    /// caller, and the record is neither kept nor acknowledged.
    pub fn commit(&self, record: Record) {
        let settled = self.shared.ledger().commit(record);
        settled.into_iter().for_each(Settled::settle);
    }

    /// The reading side for one upstream. It has one reader: the task that owns the connection.
    pub fn queue(&self, upstream: usize) -> Arc<Queue> {
        Arc::new(Queue::new(self.shared.clone(), upstream))
    }

    /// Messages that were committed and have not met their [`Fate`].
    pub fn waiting(&self) -> usize {
        self.shared.ledger().waiting()
    }
}

// === impl Shared ===

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // A panic elsewhere ends the process; until then the books are still the best there is.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
