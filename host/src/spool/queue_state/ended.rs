//! What ends without an upstream: given up before the log, dropped from it, lost in it. Each end is counted once; a dead letter is
//! no message, and has a counter of its own for all of them.

use super::{Fate, Output, Position, QueueState};
use crate::base::name::Name;

impl QueueState {
    /// Outputs that will not come into the log.
    pub fn give_up(&mut self, outputs: &[Output], fate: Fate) {
        for output in outputs {
            self.unplaced = self.unplaced.saturating_sub(self.is_message(output).into());
            self.count(output.upstream.0, fate, 1);
        }
    }

    /// Takes the oldest of an upstream away unsent, below a number. Returns how many they were.
    pub fn drop_below(&mut self, upstream: usize, below: u64, fate: Fate) -> u64 {
        let Some(queue) = self.queues.get_mut(upstream) else { return 0 };
        let dropped = queue.drop_below(below);
        self.completions.all_done(upstream, &dropped);
        let count = dropped.count_in(0..u64::MAX);
        self.count(upstream, fate, count);
        self.followed.end_all(upstream, &dropped, fate);
        count
    }

    /// The binding that has most at an upstream, when that is more than its equal part of this room.
    pub fn most_over(&self, upstream: usize, room: u64) -> Option<Name> {
        let queue = self.queues.get(upstream).filter(|queue| queue.bindings > 1)?;
        queue.most_over(room / queue.bindings as u64)
    }

    /// Takes about so many bytes of the oldest of a binding away unsent. Returns how many messages they were.
    pub fn drop_of(&mut self, upstream: usize, binding: Name, bytes: u64) -> u64 {
        let Some(queue) = self.queues.get_mut(upstream) else { return 0 };
        let dropped = queue.drop_of(&Some(binding), bytes);
        self.completions.all_done(upstream, &dropped);
        let count = dropped.count_in(0..u64::MAX);
        self.count(upstream, Fate::Dropped, count);
        self.followed.end_all(upstream, &dropped, Fate::Dropped);
        count
    }

    /// Takes one away, unless it may have been sent.
    pub fn drop_unsent(&mut self, upstream: usize, number: u64, fate: Fate) -> bool {
        let is_dropped = self.queues.get_mut(upstream).is_some_and(|queue| queue.drop_unsent(number));
        if is_dropped {
            self.count(upstream, fate, 1);
            self.followed.end(upstream, Position::of(number), fate);
            self.completions.done(upstream, number);
        }
        is_dropped
    }

    /// Nobody can read these in the log any more. What is in memory can still be sent.
    pub fn lose(&mut self, upstream: usize, numbers: &[u64]) {
        for number in numbers {
            if self.queues.get(upstream).is_some_and(|queue| !queue.is_on_shelf(*number)) {
                self.drop_unsent(upstream, *number, Fate::Corrupt);
            }
        }
    }

    /// Outputs that no segment has room for. A dead letter among them is none: its message was not taken over.
    pub fn refuse(&mut self, outputs: &[Output]) {
        for output in outputs {
            if self.is_message(output) {
                self.unplaced = self.unplaced.saturating_sub(1);
                self.count(output.upstream.0, Fate::Oversize, 1);
            }
        }
    }

    /// The same for those that were not committed.
    pub fn refuse_new(&mut self, outputs: &[Output]) {
        self.unplaced += self.count_committed(outputs);
        self.refuse(outputs);
    }

    /// The same for outputs of a message that may have been acknowledged: nobody has decided that they go.
    pub fn lose_oversize(&mut self, outputs: &[Output]) {
        let messages = outputs.iter().filter(|output| self.is_message(output)).count();
        self.unplaced = self.unplaced.saturating_sub(messages);
        for output in outputs {
            let fate = if output.is_qos0() { Fate::Oversize } else { Fate::NeverSendable };
            self.count(output.upstream.0, fate, 1);
        }
    }

    /// Each end once, by the queue that it was in.
    pub(super) fn count(&self, upstream: usize, fate: Fate, count: u64) {
        match self.queues.get(upstream).map(|queue| &queue.metrics) {
            Some(Some(metrics)) => fate.counter(metrics).into_iter().for_each(|counter| counter.add(count)),
            Some(None) => self.count_dead_letters(fate, count),
            // What was committed has a queue.
            None => {}
        }
    }

    fn count_dead_letters(&self, fate: Fate, count: u64) {
        if fate == Fate::Archived {
            return self.counters.dead_letters_archived.add(count);
        }
        self.counters.dead_letters_dropped.add(count);
        if fate.is_loss() {
            self.counters.acknowledged_lost.add(count);
            self.counters.dead_letters_lost.add(count);
        }
    }
}
