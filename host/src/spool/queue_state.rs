//! The queue state: what was committed and waits for the log, and what each upstream has to send. Plain data behind the spool's
//! mutex, between the threads that commit, the committer, the refill and the senders.

mod ended;

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::completions::{Completions, Confirmed, Remembered};
use super::followed::Followed;
use super::heartbeat::Heartbeat;
use super::intervals::Intervals;
use super::log::Location;
use super::offsets::Offsets;
use super::upstream_queue::{Loaded, UpstreamQueue, Want};
use super::wake_ups::WakeUps;
use super::{Entry, Fate, Held, Output, Position, Record, SinkState};
use crate::base::name::Name;
use crate::config::{self, Qos0, UpstreamId};
use crate::metrics::Counters;
use crate::tap::Trace;
use crate::topic::TopicName;

pub(super) struct QueueState {
    queues: Vec<UpstreamQueue>,
    /// For whom there is news, and who sleeps.
    pub wake_ups: WakeUps,
    /// Committed and not taken by the committer yet. Bounded by who commits: a record with messages holds places in its lanes, one with
    /// small state alone is one of the packets that a session may have unanswered.
    pub incoming: VecDeque<Record>,
    pub completions: Completions,
    pub heartbeat: Heartbeat,
    /// Why records wait with the committer.
    pub held: Vec<Held>,
    confirmed: Vec<Confirmed>,
    /// Outputs of records that are not in the log yet: in `incoming` or with the committer.
    unplaced: usize,
    /// The queue whose entries are no messages for an upstream, and are not counted with them.
    dead_letters: Option<usize>,
    /// Asked to finish, or dead: nothing more is taken.
    pub closing: bool,
    pub dead: bool,
    /// Of `incoming`, those that nobody waits for.
    unawaited: usize,
    qos0: Qos0,
    max_qos0_messages: usize,
    counters: Arc<Counters>,
    followed: Followed,
}

// === impl QueueState ===

impl QueueState {
    pub fn new(
        queues: Vec<UpstreamQueue>,
        dead_letters: Option<usize>,
        config: &config::Spool,
        counters: Arc<Counters>,
        names: &[Arc<str>],
    ) -> Self {
        let confirmed = queues.iter().map(|_| Confirmed::default()).collect();
        let completions = Completions::new(queues.len());
        Self {
            wake_ups: WakeUps::new(queues.len()),
            queues,
            incoming: VecDeque::new(),
            completions,
            heartbeat: Heartbeat::default(),
            held: Vec::new(),
            confirmed,
            unplaced: 0,
            dead_letters,
            closing: false,
            dead: false,
            unawaited: 0,
            qos0: config.qos0,
            max_qos0_messages: config.max_qos0_messages,
            counters,
            followed: Followed::of(names.to_vec()),
        }
    }

    /// Gives the record back when it has nothing for the log: it is as safe as it will ever be.
    pub fn commit(&mut self, mut record: Record) -> Option<Record> {
        if record.outputs.iter().any(|output| output.upstream.of(&self.queues).is_none_or(|queue| queue.is_orphan)) {
            tracing::error!("an output names an upstream that does not exist; its message is not acknowledged");
            return None;
        }
        let messages = self.count_committed(&record.outputs);
        if record.changes.is_empty() && record.outputs.iter().all(Output::is_qos0) {
            let trace = record.trace.take();
            self.commit_unawaited(record.outputs.drain(..), trace.as_ref());
            return Some(record);
        }
        // Also of a log that is closed: it is not acknowledged, and what it comes from waits on the disk or at its device.
        self.unplaced += messages;
        if !self.dead {
            self.incoming.push_back(record);
            self.wake_ups.notify();
        }
        None
    }

    /// QoS 0 alone: into memory, or on its way to the log, for which nobody waits. The oldest on that way make room.
    fn commit_unawaited(&mut self, outputs: impl ExactSizeIterator<Item = Output>, trace: Option<&Trace>) {
        if self.qos0 == Qos0::Memory || self.dead {
            return outputs.for_each(|output| self.ring(output, trace));
        }
        if outputs.len() == 0 {
            return;
        }
        if self.unawaited >= self.max_qos0_messages
            && let Some(oldest) = self.incoming.iter().position(Record::is_unawaited)
            && let Some(oldest) = self.incoming.remove(oldest)
        {
            self.give_up(&oldest.outputs, Fate::Dropped);
            self.unawaited -= 1;
        }
        self.unplaced += outputs.len();
        self.unawaited += 1;
        let (outputs, trace) = (outputs.collect(), trace.cloned());
        self.incoming.push_back(Record { outputs, trace, ..Record::default() });
        self.wake_ups.notify();
    }

    /// Everything that waits for the log, for an empty queue whose memory is used again.
    pub fn take_incoming(&mut self, taken: &mut VecDeque<Record>) {
        self.unawaited = 0;
        std::mem::swap(&mut self.incoming, taken);
    }

    /// Some of it stands elsewhere in the log now.
    pub fn relocate(&mut self, upstream: usize, offsets: &Offsets) {
        if let Some(queue) = self.queues.get_mut(upstream) {
            queue.relocate(offsets);
        }
    }

    /// A message that is in the log.
    pub fn place(&mut self, number: u64, output: Output, at: Location, trace: Option<&Trace>) {
        self.unplaced = self.unplaced.saturating_sub(self.is_message(&output).into());
        let Output { upstream: UpstreamId(upstream), binding, message, arrived } = output;
        if let Some(queue) = self.queues.get_mut(upstream) {
            queue.place(Entry { position: Position::of(number), binding, message, arrived }, at);
            if let Some(trace) = trace {
                self.followed.begin(upstream, Position::of(number), queue.len().saturating_sub(1), trace);
            }
            self.wake_ups.arrived(upstream);
        }
    }

    /// A message of QoS 0, whose record is in the log.
    pub fn place_qos0(&mut self, output: Output, trace: Option<&Trace>) {
        self.unplaced = self.unplaced.saturating_sub(1);
        self.ring(output, trace);
    }

    fn ring(&mut self, output: Output, trace: Option<&Trace>) {
        let Output { upstream: UpstreamId(upstream), binding, message, arrived } = output;
        if let Some(queue) = self.queues.get_mut(upstream) {
            let entry = Entry { position: Position::START, binding, message, arrived };
            let (position, dropped) = queue.ring(entry, self.max_qos0_messages);
            if let Some(trace) = trace {
                self.followed.begin(upstream, position, queue.len().saturating_sub(1), trace);
            }
            if dropped > 0 {
                self.followed.end_missing(upstream, |position| queue.has_qos0(position));
            }
            self.wake_ups.arrived(upstream);
            if dropped > 0 {
                self.count(upstream, Fate::Dropped, dropped as u64);
            }
        }
    }

    /// Takes an entry out under its fate. Whether that is the first of some completions, so that the committer has to wake.
    pub fn complete(&mut self, upstream: usize, position: Position, fate: Fate) -> bool {
        if !self.queues.get_mut(upstream).is_some_and(|queue| queue.complete(position)) {
            return false;
        }
        self.count(upstream, fate, 1);
        self.followed.end(upstream, position, fate);
        let is_first = self.completions.is_empty();
        if position.sequence == 0 {
            self.completions.done(upstream, position.number);
        }
        is_first && position.sequence == 0
    }

    pub fn remember(&mut self, upstream: usize, state: &SinkState, is_new: bool) -> oneshot::Receiver<()> {
        let (durable, heard) = oneshot::channel();
        self.completions.remember(upstream, Remembered { value: state.encode(), is_new, durable });
        heard
    }

    /// These completions are durable.
    pub fn confirm(&mut self, completions: Completions) {
        for (upstream, (completion, confirmed)) in completions.of.into_iter().zip(&mut self.confirmed).enumerate() {
            confirmed.done.extend(&completion.done);
            confirmed.marked.extend(completion.marks.iter().map(|mark| mark.number));
            if let Some(state) = completion.state {
                // A sender that has given up asks again with its next connection.
                let _ = state.durable.send(());
            }
            self.wake_ups.confirmed(upstream);
        }
    }

    pub fn take_confirmed(&mut self, upstream: usize) -> Confirmed {
        self.confirmed.get_mut(upstream).map(std::mem::take).unwrap_or_default()
    }

    pub fn divide_among(&mut self, bindings: &[usize]) {
        self.queues.iter_mut().zip(bindings).for_each(|(queue, bindings)| queue.bindings = (*bindings).max(1));
    }

    /// With how many bindings an upstream is shared, and what this one has there.
    pub fn part(&self, upstream: usize, binding: &Option<Name>) -> (u64, u64) {
        self.queues.get(upstream).map_or((1, 0), |queue| (queue.bindings as u64, queue.part(binding)))
    }

    /// The first backlog that wants to be read on.
    pub fn want(&self) -> Option<Want> {
        self.queues.iter().enumerate().find_map(|(upstream, queue)| queue.want(upstream))
    }

    pub fn has_want(&self) -> bool {
        self.queues.iter().any(UpstreamQueue::is_hungry)
    }

    /// What the refill has read.
    pub fn load(&mut self, want: &Want, loaded: Loaded) {
        let upstream = want.upstream;
        let Some(queue) = self.queues.get_mut(upstream) else { return };
        let lost: Intervals = queue.load(want, loaded);
        self.count(upstream, Fate::Corrupt, lost.count_in(0..u64::MAX));
        self.followed.end_all(upstream, &lost, Fate::Corrupt);
        self.completions.all_done(upstream, &lost);
        self.wake_ups.arrived(upstream);
    }

    pub fn read(&mut self, upstream: usize, after: Position, max: usize, max_bytes: usize) -> Vec<Entry> {
        let Some(queue) = self.queues.get_mut(upstream) else { return Vec::new() };
        let entries = queue.read(after, max, max_bytes, Entry::to_send);
        if let Some(last) = entries.last() {
            queue.mark_possibly_sent(last.position.number.saturating_add(1));
        }
        self.followed.sending(upstream, &entries);
        entries
    }

    /// The same for somebody who only looks.
    pub fn peek(&self, upstream: usize, after: Position, max: usize, max_bytes: usize) -> Vec<Entry> {
        let queue = self.queues.get(upstream);
        queue.map(|queue| queue.read(after, max, max_bytes, Entry::clone)).unwrap_or_default()
    }

    /// The first `max` of QoS 1 and 2 that are wanted: their numbers and topics.
    pub fn find(&self, upstream: usize, max: usize, wanted: impl Fn(u64) -> bool) -> Vec<(u64, TopicName)> {
        let entries = self.queues.get(upstream).into_iter().flat_map(UpstreamQueue::acknowledged);
        let wanted = entries.filter(|entry| wanted(entry.position.number));
        wanted.take(max).map(|entry| (entry.position.number, entry.message.topic.clone())).collect()
    }

    pub fn read_qos0(&self, upstream: usize, after: u64, max: usize) -> Vec<Entry> {
        let entries = self.queues.get(upstream).map(|queue| queue.read_qos0(after, max)).unwrap_or_default();
        self.followed.sending(upstream, &entries);
        entries
    }

    pub fn has_qos0_after(&self, upstream: usize, after: u64) -> bool {
        self.queues.get(upstream).is_some_and(|queue| queue.has_qos0_after(after))
    }

    pub fn has_after(&self, upstream: usize, after: Position) -> bool {
        self.queues.get(upstream).is_some_and(|queue| queue.has_after(after))
    }

    pub fn len(&self, upstream: usize) -> usize {
        self.queues.get(upstream).map_or(0, UpstreamQueue::len)
    }

    pub fn waiting(&self) -> usize {
        let messages = self.queues.iter().enumerate().filter(|(queue, _)| Some(*queue) != self.dead_letters);
        self.unplaced + messages.map(|(_, queue)| queue.len()).sum::<usize>()
    }

    pub fn deliverable(&self) -> usize {
        let queues = self.queues.iter().enumerate();
        let configured = queues.filter(|(queue, of)| Some(*queue) != self.dead_letters && !of.is_orphan);
        self.unplaced + configured.map(|(_, queue)| queue.len()).sum::<usize>()
    }

    /// How many of them are messages for an upstream.
    fn count_committed(&self, outputs: &[Output]) -> usize {
        let queues = outputs.iter().filter_map(|output| output.upstream.of(&self.queues)?.metrics.as_ref());
        queues.inspect(|metrics| metrics.committed.increment()).count()
    }

    fn is_message(&self, output: &Output) -> bool {
        Some(output.upstream.0) != self.dead_letters
    }

    /// Bytes in memory.
    pub fn weight(&self, upstream: usize) -> usize {
        self.queues.get(upstream).map_or(0, UpstreamQueue::weight)
    }
}
