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
//! - **Nobody waits in the name of others.** Each set of bindings has a line of its own for each client, so that the full share of one upstream
//!   holds back what goes there alone, and a client of whose message thousands come has one of them in front of those of others.
//! - **What was promised to nobody goes**, and is counted: QoS 0 at once, wills of sessions that end with their connection when there
//!   are too many of them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;

use super::dispatcher::{Dispatcher, Pending};
use super::places::Held;
use super::route::Inbound;
use super::table::Bindings;
use crate::base::fault::{self, Fault};
use crate::bus::Kept;
use crate::message::QoS;
use crate::spool::{Hold, Place, Record};

/// Hop, bindings and client: messages of one client and topic meet the same.
type Line = (u8, Bindings, Arc<str>);

/// Bytes of messages that nobody was promised and that wait all the same: wills of sessions that end with their connection.
const MAX_UNPROMISED: usize = 16 << 20;

/// Those that wait for places.
pub(super) struct Internal {
    lines: Mutex<Lines>,
    /// None in tests without a runtime: there, who has no place at once stays where it is.
    runtime: Option<Handle>,
}

#[derive(Default)]
struct Lines {
    waiting: HashMap<Line, VecDeque<Pending>>,
    unpromised: usize,
}

// === impl Internal ===

impl Internal {
    /// In the runtime that is to start those who have waited.
    pub fn new() -> Self {
        Self { lines: Mutex::default(), runtime: Handle::try_current().ok() }
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next of a line, which ends with its last.
    fn next(&self, line: &Line) -> Option<Pending> {
        let mut lines = self.lock();
        let Lines { waiting, unpromised } = &mut *lines;
        let next = waiting.get_mut(line).and_then(VecDeque::pop_front);
        match &next {
            Some(pending) if !pending.is_promised() => *unpromised -= pending.weight(),
            Some(_) => {}
            None => drop(waiting.remove(line)),
        }
        next
    }
}

// === impl Lines ===

impl Lines {
    /// QoS 0 never waits: it would wait for the spool, behind those who do.
    fn may_wait(&self, pending: &Pending) -> bool {
        let is_patient = pending.message().qos > QoS::AtMostOnce;
        pending.is_promised() || (is_patient && self.unpromised + pending.weight() <= MAX_UNPROMISED)
    }

    fn push(&mut self, line: Line, pending: Pending) {
        if !pending.is_promised() {
            self.unpromised += pending.weight();
        }
        self.waiting.entry(line).or_default().push_back(pending);
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
        let Some(mut pending) = self.deliver_and_match(inbound) else { return };
        pending.cause = cause.map(Place::Cause);
        self.start_or_file(pending);
    }

    /// What the gateway says of itself, at QoS 0: retained in memory alone. It counts as a message when a binding names its topic.
    pub fn announce(self: &Arc<Self>, inbound: Inbound) {
        let kept = self.bus.announce(&inbound.message, inbound.arrived);
        if self.table().matching(&inbound.message.topic).is_empty() {
            return;
        }
        self.counters.internal.increment();
        if let Some(pending) = self.match_delivered(inbound, kept) {
            self.start_or_file(pending);
        }
    }

    fn start_or_file(self: &Arc<Self>, pending: Pending) {
        if let Some((pending, held)) = self.place_or_file(pending) {
            self.start(pending, held);
        }
    }

    /// Gives it back when it may start now.
    fn place_or_file(self: &Arc<Self>, pending: Pending) -> Option<(Pending, Held)> {
        let (mut lines, line) = (self.internal.lock(), pending.line());
        let may_wait = lines.may_wait(&pending) && !fault::is_on(Fault::InternalDropped);
        // Behind those that wait, or are just being started.
        if may_wait && !lines.waiting.is_empty() && lines.waiting.contains_key(&line) {
            lines.push(line, pending);
            return None;
        }
        if let Some(held) = self.try_take(&pending) {
            return Some((pending, held));
        }
        if may_wait {
            lines.push(line.clone(), pending);
            drop(lines);
            self.internal.runtime.iter().for_each(|runtime| drop(runtime.spawn(self.clone().start_line(line.clone()))));
        } else {
            drop(lines);
            self.drop_unpromised(pending);
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
            tracing::warn!(
                ?topic,
                suppressed,
                "dropped: its binding has no place for it, and nobody was promised anything"
            );
        }
        let Kept { changes, pending_deliveries } = pending.give_up(&self.counters);
        self.journal.commit(Record { changes, ..Record::default() }, pending_deliveries);
    }
}
