//! Several bindings with one upstream: one of them does not take all of its share.
//!
//! - **While there is room, everybody has all of it.** A binding that is alone with an upstream never notices.
//! - **The last part of a share is for those who have little there.** When it begins, a binding that has more than an equal part waits,
//!   and what others bring is taken over as before. What the upstream takes away makes room for them first.
//! - **With `drop-oldest` nobody waits**, and a binding with more than an equal part is the first of which messages go
//!   ([`super::evict`]).
//! - **It is the binding's own devices that are held back**, and its clock: see [`super::barrier`]. What nobody waits for is dropped.
//!
//! Not a part for each binding from the beginning: most of the spool would be empty while devices are held back. Not turns: while an
//! upstream is away, nobody would have one.

use std::collections::BTreeSet;

use super::Committer;
use super::admission::Usage;
use crate::base::name::Name;
use crate::config::WhenFull;
use crate::spool::log::Disk;
use crate::spool::parts::Parts;
use crate::spool::{Held, Output, Shared};

/// One in so many bytes of a share is for those with less than an equal part.
const LAST_PART: u64 = 16;

/// Bindings that are over, by upstream.
pub(super) type Over = BTreeSet<(usize, Name)>;

impl<D: Disk> Committer<D> {
    /// Whether the binding of this output has to wait for the others.
    pub(super) fn is_over_part(
        &self,
        output: &Output,
        usage: &Usage,
        (room, admitted): (u64, &[Parts]),
        shared: &Shared,
    ) -> bool {
        if self.policy.when_full == WhenFull::DropOldest {
            return false;
        }
        let (upstream, weight) = (output.upstream.0, output.message.weight() as u64);
        if usage.of(upstream).saturating_add(weight).saturating_add(self.last_part(room)) <= room {
            return false;
        }
        let (bindings, in_line) = shared.queue_state().part(upstream, &output.binding);
        let part = in_line + admitted.get(upstream).map_or(0, |parts| parts.of(&output.binding));
        bindings > 1 && part > 0 && part.saturating_add(weight) > room / bindings
    }

    /// What an upstream with this share has room for. One that is alone has all but the segment that an ordinary roll leaves.
    pub(super) fn room_of(&self, share: u64) -> u64 {
        share.min(self.policy.max_bytes.saturating_sub(self.log.max_append()))
    }

    /// A log of few segments is full by the segment.
    pub(super) fn last_part(&self, room: u64) -> u64 {
        (room / LAST_PART).max(self.log.max_append() / 4)
    }

    /// What is admitted and not placed yet, by upstream and binding.
    pub(super) fn admitted(&self) -> Vec<Parts> {
        let mut admitted: Vec<Parts> = self.names.iter().map(|_| Parts::default()).collect();
        for output in self.ready.iter().flat_map(|record| &record.outputs) {
            add(&mut admitted, output);
        }
        admitted
    }

    /// Each time that it begins.
    pub(super) fn tell_over(&mut self, over: Over) {
        for (upstream, binding) in over.difference(&self.over_part) {
            let Some(upstream) = self.names.get(*upstream) else { continue };
            let Held { reason, advice, .. } = Held::by_part(upstream, binding);
            tracing::warn!(
                upstream = &**upstream,
                binding = &**binding,
                "{reason}; its devices are held back: {advice}"
            );
        }
        self.over_part = over;
    }
}

pub(super) fn add(admitted: &mut [Parts], output: &Output) {
    if let Some(parts) = admitted.get_mut(output.upstream.0) {
        parts.add(&output.binding, output.message.weight() as u64);
    }
}
