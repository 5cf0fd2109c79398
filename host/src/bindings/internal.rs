//! What the gateway itself publishes: republished messages, dead letters, wills.
//!
//! ```text
//!  publish ─▶ bus, table ─┬─ a place in each binding ─▶ lanes
//!                         └─ none: behind its like, in the order of arrival ─▶ a task that waits for places, and starts them
//! ```
//!
//! - **What was promised waits.** A message that an ack depends on, or that is written down, never goes for want of a place. Its cause
//!   keeps its own places meanwhile, and so on back to the device, whose further messages then wait in its connection.
//! - **No circle.** It waits for places of its own hop ([`Places`]); see there.
//! - **Bounded.** Who waits here holds a place of what caused it, so that they are as many as those may cause: what a plugin may make
//!   of one message, times its local destinations. What is written down is bounded by who wrote it: a tick makes one at a time.
//! - **Nobody waits in the name of others.** Each set of bindings has a line of its own, so that the full share of one upstream holds
//!   back what goes there alone.
//! - **What was promised to nobody goes**, and is counted: QoS 0, and wills of sessions that end with their connection.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;

use super::dispatcher::{Dispatcher, Inbound, Pending};
use super::places::Held;
use crate::bus::Kept;
use crate::spool::{Hold, Place, Record};

/// Hop and bindings: messages of one client and topic meet the same.
type Line = (u8, Arc<[usize]>);

/// Those that wait for places.
pub(super) struct Internal {
    lines: Mutex<HashMap<Line, VecDeque<Pending>>>,
    /// None in tests without a runtime: there, the next of the same line is who starts them.
    runtime: Option<Handle>,
}

// === impl Internal ===

impl Internal {
    /// In the runtime that is to start those who have waited.
    pub fn new() -> Self {
        Self { lines: Mutex::default(), runtime: Handle::try_current().ok() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Line, VecDeque<Pending>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next of a line, which ends with its last.
    fn next(&self, line: &Line) -> Option<Pending> {
        let mut lines = self.lock();
        let next = lines.get_mut(line).and_then(VecDeque::pop_front);
        if next.is_none() {
            lines.remove(line);
        }
        next
    }
}

// === impl Dispatcher ===

impl Dispatcher {
    /// What the gateway itself publishes. Never blocks.
    pub fn publish_internal(self: &Arc<Self>, inbound: Inbound) {
        self.publish_further(inbound, None);
    }

    /// The same for what another message has caused, which keeps its places until this one has its own.
    pub(super) fn publish_further(self: &Arc<Self>, inbound: Inbound, cause: Option<Arc<Hold>>) {
        self.counters.internal.increment();
        let Some(pending) = self.deliver_and_match(inbound) else { return };
        let pending = Pending { cause: cause.map(Place::Cause), ..pending };
        if let Some((pending, held)) = self.place_or_file(pending) {
            self.start(pending, held);
        }
    }

    /// Gives it back when it may start now.
    fn place_or_file(self: &Arc<Self>, pending: Pending) -> Option<(Pending, Held)> {
        let mut lines = self.internal.lock();
        let line = pending.line();
        let is_promised = pending.is_promised();
        // Behind those that wait, or are just being started. What may go waits for nobody.
        let others = if lines.is_empty() { None } else { lines.get_mut(&line) };
        match others {
            Some(others) if is_promised => {
                others.push_back(pending);
                return None;
            }
            _ => {}
        }
        if let Some(held) = self.try_take(&pending) {
            return Some((pending, held));
        }
        if !is_promised {
            drop(lines);
            self.drop_unpromised(pending);
            return None;
        }
        lines.insert(line.clone(), VecDeque::from([pending]));
        drop(lines);
        if let Some(runtime) = &self.internal.runtime {
            runtime.spawn(self.clone().start_line(line));
        }
        None
    }

    /// Until nobody waits there any more.
    async fn start_line(self: Arc<Self>, line: Line) {
        while let Some(pending) = self.internal.next(&line) {
            if self.clone().start_when_free(pending).await.is_err() {
                // Places are never closed.
                return;
            }
        }
    }

    fn drop_unpromised(&self, pending: Pending) {
        if let Some(suppressed) = self.warnings.permit() {
            let topic = &pending.message().topic;
            tracing::warn!(?topic, suppressed, "dropped, unpromised: too much that is republished waits for its binding");
        }
        let Kept { changes, parcels } = pending.give_up(&self.counters);
        self.journal.commit(Record { changes, ..Record::default() }, parcels);
    }
}
