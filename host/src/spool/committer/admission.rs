//! Who may write next: each upstream has a share of the log, and one that has used its own up waits by itself.
//!
//! - **The share.** With one upstream, all there is. With several, equal parts of three quarters of the log; the last quarter is
//!   what lets a full log be compacted. An upstream that is not configured any more and still has messages has a part too.
//! - **A record is whole.** One that goes to two upstreams waits when one of them has no room: its ack promises both.
//! - **A binding is whole.** What follows a held record in one of its bindings waits behind it ([`super::barrier`]), so that
//!   messages of one client and topic, which meet the same bindings, stay in order. Other bindings go on; the places that the
//!   held records keep are what holds the devices of theirs back. So a fan-out binding, and two bindings on one topic, are held
//!   by either upstream.
//! - **QoS 0 never waits and never crowds out.** It may fill a quarter of a share, unless it is the first to go; what has no room
//!   is dropped.

use std::sync::Arc;

use super::Committer;
use super::barrier::Barrier;
use super::fairness::{self, Over};
use super::waited::Waited;
use crate::config::{Qos0, WhenFull};
use crate::spool::log::Disk;
use crate::spool::offsets::Offsets;
use crate::spool::{Fate, Held, Output, Record, Shared};

/// What each upstream has in the log, or is about to have, by upstream.
pub(super) struct Usage {
    bytes: Vec<u64>,
    qos0: Vec<u64>,
}

impl<D: Disk> Committer<D> {
    /// Moves what may be written from `records` to `ready`. Whether the oldest of somebody were dropped for the others.
    pub(super) fn admit(&mut self, shared: &Shared) -> bool {
        if self.records.is_empty() {
            self.waited = None;
            if self.is_held.contains(&true) || !self.over_part.is_empty() {
                self.tell_held(vec![false; self.names.len()], Over::new(), shared);
            }
            return false;
        }
        if self.has_room_for_all() {
            self.waited = None;
            self.ready.append(&mut self.records);
            return false;
        }
        let (share, mut usage) = (self.share(), self.usage());
        let room = self.room_of(share);
        let (mut waited, mut full, mut over) = self.waited((share, room), &usage);
        let (mut admitted, new) = (self.admitted(), self.records.split_off(waited.records));
        let mut waiting = std::mem::take(&mut self.records);
        for mut record in new {
            self.shed_qos0(&mut record, &usage, shared);
            let mut has_room = true;
            let counts = |output: &&Output| output.is_kept(self.policy.qos0) && !self.is_archive(output.upstream.0);
            for output in record.outputs.iter().filter(counts) {
                if !usage.has_room(output, share) {
                    has_room = false;
                    full.iter_mut().skip(output.upstream.0).take(1).for_each(|full| *full = true);
                } else if self.is_over_part(output, &usage, (room, &admitted), shared) {
                    has_room = false;
                    over.extend(output.binding.map(|binding| (output.upstream.0, binding)));
                }
            }
            if has_room && !waited.behind.holds(&record) {
                usage.add(&record);
                record.outputs.iter().for_each(|output| fairness::add(&mut admitted, output));
                self.ready.push_back(record);
            } else if record.is_unawaited() {
                shared.queue_state().give_up(&record.outputs, Fate::Dropped);
            } else {
                waited.behind.add(&record);
                waiting.push_back(record);
            }
        }
        waited.used.iter_mut().zip(&usage.bytes).for_each(|(then, now)| *then = (*then).max(*now));
        self.waited = Some(Waited { records: waiting.len(), ..waited });
        self.records = waiting;
        let first = full.iter().position(|full| *full);
        self.tell_held(full, over, shared);
        self.policy.when_full == WhenFull::DropOldest
            && first.is_some_and(|upstream| self.drop_oldest(upstream, shared))
    }

    /// As usual: nobody waits, and all that has come goes before the last part of any share begins. Told from sums, because a turn with
    /// the few messages of one sync would pay more for the lists below than for the messages.
    fn has_room_for_all(&self) -> bool {
        let waits = self.waited.as_ref().is_some_and(|waited| waited.records > 0);
        let is_held = self.is_held.contains(&true) || !self.over_part.is_empty();
        if waits || is_held || !self.ready.is_empty() || self.policy.qos0 == Qos0::Spool {
            return false;
        }
        let room = self.room_of(self.share());
        let outputs = self.records.iter().flat_map(|record| &record.outputs);
        let comes: u64 = outputs.map(|output| output.message.weight() as u64).sum();
        let Some(most) = room.saturating_sub(self.last_part(room)).checked_sub(comes) else { return false };
        let used = |name: &Arc<str>| self.image.offsets(name).map_or(0, |offsets| offsets.bytes().0);
        let names = self.names.iter().enumerate().filter(|(upstream, _)| !self.is_archive(*upstream));
        names.into_iter().all(|(_, name)| used(name) <= most)
    }

    /// What is known of those that wait already; nothing, when something has become less for them. Whose shares are full, and which bindings
    /// are over their parts, by those.
    fn waited(&mut self, rooms: (u64, u64), usage: &Usage) -> (Waited, Vec<bool>, Over) {
        let known = self.waited.take();
        match known.filter(|waited| waited.holds(rooms, &usage.bytes, &self.is_held, &self.over_part)) {
            Some(known) => (known, self.is_held.clone(), self.over_part.clone()),
            None => {
                let (behind, used) = (Barrier::default(), usage.bytes.clone());
                (Waited { records: 0, behind, rooms, used }, vec![false; self.names.len()], Over::new())
            }
        }
    }

    /// What one upstream may have in the log.
    pub(super) fn share(&self) -> u64 {
        if self.holders() > 1 { self.portion() } else { u64::MAX }
    }

    fn holders(&self) -> u64 {
        let waits = |name: &Arc<str>| self.image.offsets(name).is_some_and(|offsets| offsets.incomplete() > 0);
        let names = self.names.iter().enumerate().filter(|(upstream, _)| !self.is_archive(*upstream));
        names.filter(|(upstream, name)| *upstream < self.configured || waits(name)).count() as u64
    }

    /// Two segments apart, which are the one that is written and the reserve.
    fn portion(&self) -> u64 {
        let usable = self.policy.max_bytes.saturating_sub(2 * self.log.max_append());
        usable / 4 * 3 / self.holders().max(1)
    }

    fn usage(&self) -> Usage {
        let of = |name: &Arc<str>| self.image.offsets(name).map_or((0, 0), Offsets::bytes);
        let (bytes, qos0) = self.names.iter().map(of).unzip();
        let mut usage = Usage { bytes, qos0 };
        self.ready.iter().for_each(|record| usage.add(record));
        usage
    }

    fn shed_qos0(&self, record: &mut Record, usage: &Usage, shared: &Shared) {
        if self.policy.when_full == WhenFull::DropQos0First
            || !record.outputs.iter().any(|output| output.is_kept(self.policy.qos0) && output.is_qos0())
        {
            return;
        }
        let most = self.portion() / 4;
        let has_share = |output: &Output| usage.qos0.get(output.upstream.0).is_none_or(|used| *used < most);
        let shed: Vec<_> = record.outputs.extract_if(.., |output| output.is_qos0() && !has_share(output)).collect();
        shared.queue_state().give_up(&shed, Fate::Dropped);
    }

    /// Each time that it begins.
    fn tell_held(&mut self, full: Vec<bool>, over: Over, shared: &Shared) {
        if self.is_held == full && self.over_part == over {
            return;
        }
        self.tell_over(over);
        let share = self.share();
        let began = |index: &usize| !self.is_held.get(*index).is_some_and(|held| *held);
        let full_now = full.iter().enumerate().filter(|(_, full)| **full).map(|(index, _)| index);
        for name in full_now.filter(began).filter_map(|index| self.names.get(index)) {
            let Held { reason, advice, .. } = Held::by_share(name, share);
            if self.policy.when_full == WhenFull::DropOldest {
                tracing::warn!(upstream = &**name, share, "{reason}; its oldest messages go: {advice}");
            } else {
                tracing::warn!(
                    upstream = &**name,
                    share,
                    "{reason}; the devices of its bindings are held back: {advice}"
                );
            }
        }
        self.is_held = full;
        let whole = shared.queue_state().held.iter().find(|held| held.upstream.is_none()).cloned();
        self.publish_held(shared, whole);
    }
}

// === impl Usage ===

impl Usage {
    pub fn of(&self, upstream: usize) -> u64 {
        self.bytes.get(upstream).copied().unwrap_or(0)
    }

    /// One that has nothing in the log may always write: also the largest record gets through alone.
    fn has_room(&self, output: &Output, share: u64) -> bool {
        let used = self.bytes.get(output.upstream.0).copied().unwrap_or(0);
        used == 0 || used.saturating_add(output.message.weight() as u64) <= share
    }

    fn add(&mut self, record: &Record) {
        for output in &record.outputs {
            let weight = output.message.weight() as u64;
            self.bytes.iter_mut().skip(output.upstream.0).take(1).for_each(|used| *used += weight);
            if output.is_qos0() {
                self.qos0.iter_mut().skip(output.upstream.0).take(1).for_each(|used| *used += weight);
            }
        }
    }
}
