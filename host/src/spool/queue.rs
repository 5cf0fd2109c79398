//! One sink's side of the spool: read, wait, complete, and hear what is durable. It knows nothing of how the sink sends.

use std::sync::Arc;
use std::time::Duration;

use super::completions::Confirmed;
use super::{Entry, Fate, Mark, Position, Recovered, Shared, SinkState};
use crate::config::UpstreamId;
use crate::topic::TopicName;

/// What is there for one upstream. One reader, which keeps its own place: reading removes nothing.
pub struct Queue {
    shared: Arc<Shared>,
    upstream: UpstreamId,
}

// === impl Queue ===

impl Queue {
    pub(super) fn new(shared: Arc<Shared>, upstream: UpstreamId) -> Self {
        Self { shared, upstream }
    }

    /// At most `max` entries after a position, QoS 0 and QoS 1/2 merged; at least one if there is one, then no more than
    /// `max_bytes`. [`Position::START`] reads again everything that is not completed.
    pub fn read(&self, after: Position, max: usize, max_bytes: usize) -> Vec<Entry> {
        self.shared.queue_state().read(self.upstream.0, after, max, max_bytes)
    }

    /// As [`Queue::read`], by somebody who will not send it.
    pub fn peek(&self, after: Position, max: usize, max_bytes: usize) -> Vec<Entry> {
        self.shared.queue_state().peek(self.upstream.0, after, max, max_bytes)
    }

    /// The first `max` of QoS 1 and 2 in memory that are wanted, however much lies between them: their numbers and topics.
    pub fn find(&self, max: usize, wanted: impl Fn(u64) -> bool) -> Vec<(u64, TopicName)> {
        self.shared.queue_state().find(self.upstream.0, max, wanted)
    }

    /// At most `max` entries of QoS 0 that are in memory alone, after a sequence: past QoS 1 and 2, which wait.
    pub fn read_qos0(&self, after: u64, max: usize) -> Vec<Entry> {
        self.shared.queue_state().read_qos0(self.upstream.0, after, max)
    }

    /// The oldest that is in memory and not completed.
    pub fn oldest(&self) -> Option<Entry> {
        self.peek(Position::START, 1, 1).pop()
    }

    /// One that is in memory and not completed.
    pub fn entry(&self, number: u64) -> Option<Entry> {
        let before = Position { number: number.checked_sub(1)?, sequence: u64::MAX };
        let found = self.peek(before, 1, usize::MAX).pop()?;
        (found.position == Position::of(number)).then_some(found)
    }

    /// Whether a message that has waited so long is still wanted.
    pub fn is_fresh(&self, held: Duration) -> bool {
        self.shared.max_age.is_none_or(|age| held < age)
    }

    /// Returns when there is an entry after this position.
    pub async fn wait_after(&self, after: Position) {
        self.wait_until(|| self.has_after(after)).await;
    }

    /// Returns when there is one of QoS 0 in memory after a turn.
    pub async fn wait_qos0_after(&self, after: u64) {
        self.wait_until(|| self.shared.queue_state().has_qos0_after(self.upstream.0, after)).await;
    }

    async fn wait_until(&self, is_there: impl Fn() -> bool) {
        let Some(signals) = self.upstream.of(&self.shared.signals) else { return std::future::pending().await };
        // `notify_one` leaves a permit behind, so that an arrival between the look and the wait is not missed.
        while !is_there() {
            signals.arrived.notified().await;
        }
    }

    /// Whether an entry after this position is in memory.
    pub fn has_after(&self, after: Position) -> bool {
        self.shared.queue_state().has_after(self.upstream.0, after)
    }

    /// The entry has met its fate: it leaves, and is counted once. Saying it twice changes nothing. That it is durable is
    /// [`Confirmed`] later; for QoS 0 there is nothing to make durable.
    pub fn complete(&self, position: Position, fate: Fate) {
        let mut queue_state = self.shared.queue_state();
        let first_note = queue_state.complete(self.upstream.0, position, fate);
        let is_news = first_note && !queue_state.wake_ups.looks_by_itself;
        let wanted = queue_state.has_want();
        drop(queue_state);
        if is_news || wanted {
            self.shared.notify();
        }
    }

    /// This message is half way. The sink may go by that when it is [`Confirmed`].
    pub fn mark(&self, mark: Mark) {
        self.shared.queue_state().completions.marked(self.upstream.0, mark);
        self.shared.notify();
    }

    /// What has become durable since the last time.
    pub fn take_confirmed(&self) -> Confirmed {
        self.shared.queue_state().take_confirmed(self.upstream.0)
    }

    /// Returns when something may have become durable.
    pub async fn wait_confirmed(&self) {
        match self.upstream.of(&self.shared.signals) {
            Some(signals) => signals.confirmed.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Somebody waits for completions to be durable: they are written now, not when it suits.
    pub fn hurry(&self) {
        let is_news = self.shared.queue_state().completions.hurry();
        if is_news {
            self.shared.notify();
        }
    }

    /// Remembers the state of the sink. Nothing may be sent that belongs to it before this is durable, or the next process would
    /// not know that it was. A new one forgets all marks. `false` when the spool has ended.
    pub async fn remember(&self, state: &SinkState, is_new: bool) -> bool {
        let durable = self.shared.queue_state().remember(self.upstream.0, state, is_new);
        self.shared.notify();
        durable.await.is_ok()
    }

    /// What an earlier process has left.
    pub fn recovered(&self) -> Recovered {
        self.upstream.of(&self.shared.recovered).cloned().unwrap_or_default()
    }

    /// Entries that are admitted and not completed, in memory or not.
    pub fn len(&self) -> usize {
        self.shared.queue_state().len(self.upstream.0)
    }

    /// Bytes of those that are in memory.
    pub fn memory(&self) -> usize {
        self.shared.queue_state().weight(self.upstream.0)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
