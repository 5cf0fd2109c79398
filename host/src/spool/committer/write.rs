//! One write: encoded, appended, synced; and only then seen and acknowledged.

use super::Committer;
use super::room::Room;
use crate::base::fault::{self, Fault};
use crate::base::kill_point::{self, KillPoint};
use crate::base::wake::batch_wakes;
use crate::spool::Shared;
use crate::spool::completions::Completions;
use crate::spool::log::{AppendError, Disk, Location};

impl<D: Disk> Committer<D> {
    /// Writes the completions and records from the front, as many as `ready` or as go in one write; fewer, where the last segment has room
    /// for no more. `false` when there is none.
    pub(super) fn write(&mut self, shared: &Shared, ready: usize, room: Room) -> Result<bool, AppendError> {
        self.batch.clear(&self.image, &self.names);
        self.batch.completions(&self.completions, &self.names);
        let most = self.most(room) as usize;
        let count = self.batch.records(self.ready.iter().take(ready), &self.names, most);
        let was_short = self.is_short_of_room();
        match self.make(room) {
            Err(AppendError::Full(shortage)) if room == Room::Any && count > 1 && self.has_rest(shortage) => {
                return self.write(shared, count / 2, room);
            }
            Err(AppendError::Full(shortage)) => {
                self.begin_full(shared, room, shortage);
                return Ok(false);
            }
            room => room?,
        }
        if was_short && !self.is_short_of_room() {
            self.publish_held(shared, None);
        }
        if fault::is_on(Fault::AckBeforeWrite) {
            self.ready.iter_mut().take(count).for_each(|record| std::mem::take(&mut record.receipt).resolve());
        }
        let frames = self.batch.frames();
        let locations = self.log.append(&frames)?;
        kill_point::reach(KillPoint::Synced);
        self.checkpoint.grown += self.batch.framed() as u64;
        let mut written = locations.iter().zip(&frames);
        for (at, frame) in written.by_ref().take(frames.len() - count) {
            self.image.apply(*at, *frame);
        }
        for ((at, frame), record) in written.zip(&mut self.ready) {
            self.image.apply_record(*at, *frame, std::mem::take(&mut record.changes));
        }
        self.publish(shared, count, self.batch.of_records(&locations));
        self.trim();
        Ok(true)
    }

    /// Everything of this write is durable: now it may be seen, and acknowledged.
    fn publish(&mut self, shared: &Shared, count: usize, locations: &[Location]) {
        let mut settled = Vec::with_capacity(count);
        let completions = std::mem::replace(&mut self.completions, Completions::new(self.names.len()));
        self.is_dropping = false;
        let mut queue_state = shared.queue_state();
        let mut numbers = self.batch.first_numbers().to_vec();
        for (record, at) in self.ready.drain(..count).zip(locations) {
            for output in record.outputs {
                match numbers.get_mut(output.upstream.0).filter(|_| output.is_kept(self.policy.qos0)) {
                    Some(number) => {
                        queue_state.place(*number, output, *at, record.trace.as_ref());
                        *number += 1;
                    }
                    None => queue_state.place_qos0(output, record.trace.as_ref()),
                }
            }
            settled.push((record.receipt, record.hold));
        }
        queue_state.confirm(completions);
        drop(queue_state);
        shared.announce();
        // One wake for each device, however many acks it has.
        let _turn = batch_wakes();
        settled.into_iter().for_each(|(receipt, _hold)| receipt.resolve());
    }
}
