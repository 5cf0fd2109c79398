//! What goes when there is too much: what is too old, and the oldest of an upstream without room.
//!
//! Both take whole runs, a segment's worth of one upstream, so that nothing has to be read for it and space comes back in
//! segments. But where several bindings write to an upstream and one has more than its part ([`super::fairness`]), a segment's worth of
//! its own goes first: what stays between is written again ([`super::compact`]). What may have been sent stays: only the upstream can say
//! what became of it [MQTT-4.3.3-7], and its packet id must not meet another message. The queue state is told first, the log by a completion; a segment goes when that completion is durable.

use std::time::{Duration, Instant};

use super::Committer;
use crate::base::{clock, timeline};
use crate::config::WhenFull;
use crate::spool::log::{AppendError, Disk};
use crate::spool::offsets::Offsets;
use crate::spool::runs::Run;
use crate::spool::{Fate, Shared};

/// How often runs are looked at for their age. What is sent is judged to the moment; this is about the room of what is not.
const SWEEP: Duration = Duration::from_secs(10);

impl<D: Disk> Committer<D> {
    /// Takes away what is too old in the segments that are not written any more.
    pub(super) fn expire(&mut self, shared: &Shared) {
        let now = clock::now();
        if self.is_dropping || now < self.next_sweep {
            return;
        }
        self.next_sweep = now + SWEEP;
        let (now_ms, active) = (timeline::now_ms(), self.log.active_segment());
        for (upstream, name) in self.names.iter().enumerate() {
            let Some(offsets) = self.image.offsets(name).filter(|_| !self.is_archive(upstream)) else { continue };
            let is_over = |run: &Run| run.segment != active && run.is_dead(now_ms, self.max_age_ms());
            let dead = offsets.parts().take_while(|(_, run)| is_over(run)).last();
            let dropped = dead.map_or(0, |(end, _)| shared.queue_state().drop_below(upstream, end, Fate::Expired));
            if dropped > 0 {
                tracing::info!(upstream = &**name, dropped, "too old: dropped from the spool, unsent");
                self.is_dropping = true;
            }
        }
    }

    /// When to look again; none while nothing can grow too old.
    pub fn sweep_due(&self) -> Option<Instant> {
        let runs = || self.image.all_offsets().iter().flat_map(|offsets| offsets.runs().iter());
        let may_die = runs().any(|(_, run)| run.live > 0 && (self.policy.max_age.is_some() || run.dies_ms < u64::MAX));
        may_die.then_some(self.next_sweep)
    }

    pub(super) fn max_age_ms(&self) -> Option<u64> {
        self.policy.max_age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX))
    }

    /// Records wait for room in the log. Whether something was done about it.
    pub(super) fn make_space(&mut self, shared: &Shared) -> Result<bool, AppendError> {
        if self.compact(shared)? {
            return Ok(true);
        }
        if self.is_making_room() {
            // Nothing is dropped for what a checkpoint is about to give.
            return Ok(false);
        }
        let largest =
            |upstream: &usize| self.names.get(*upstream).and_then(|name| self.image.offsets(name)).map(Offsets::bytes);
        let victim = (0..self.names.len()).filter(|upstream| !self.is_archive(*upstream)).max_by_key(largest);
        Ok(self.policy.when_full == WhenFull::DropOldest
            && victim.is_some_and(|upstream| self.drop_oldest(upstream, shared)))
    }

    /// Whether there was something that could go.
    pub(super) fn drop_oldest(&mut self, upstream: usize, shared: &Shared) -> bool {
        if self.is_dropping {
            return false;
        }
        let of_most = self.drop_of_most(upstream, shared);
        let dropped = if of_most > 0 { of_most } else { self.drop_first_part(upstream, shared) };
        self.is_dropping = dropped > 0;
        dropped > 0
    }

    /// Of a binding that has more than its part: its neighbours are not to pay for it. About a segment's worth, so that space comes back, and of a
    /// small share a part.
    fn drop_of_most(&mut self, upstream: usize, shared: &Shared) -> u64 {
        let room = self.room_of(self.share());
        let bytes = self.log.max_append().min(room / 4);
        let mut queue_state = shared.queue_state();
        let Some(binding) = queue_state.most_over(upstream, room) else { return 0 };
        let dropped = queue_state.drop_of(upstream, binding, bytes);
        drop(queue_state);
        self.tell_dropped(upstream, dropped, Some(&binding));
        dropped
    }

    /// The first part of which anything may go: what was sent stays, and may be a run of its own.
    fn drop_first_part(&mut self, upstream: usize, shared: &Shared) -> u64 {
        let offsets = self.names.get(upstream).and_then(|name| self.image.offsets(name));
        let drop_to = |(end, _)| shared.queue_state().drop_below(upstream, end, Fate::Dropped);
        let dropped =
            offsets.and_then(|offsets| offsets.parts().map(drop_to).find(|dropped| *dropped > 0)).unwrap_or(0);
        self.tell_dropped(upstream, dropped, None);
        dropped
    }

    fn tell_dropped(&mut self, upstream: usize, dropped: u64, binding: Option<&str>) {
        let Some(name) = self.names.get(upstream).filter(|_| dropped > 0) else { return };
        if let Some(suppressed) = self.warnings.permit() {
            tracing::warn!(
                upstream = &**name,
                binding,
                dropped,
                suppressed,
                "no room: its oldest messages were dropped"
            );
        }
    }
}
