//! Two threads turn the spool: the committer and the refill. Their owner is the [`Spool`]; what they cannot go on with, it tells.
//!
//! Plain threads, because both block on a disk. They sleep on a condition variable beside the queue state and wake when there is
//! something to do, when a completion has waited long enough, when a full log is to be tried again, or when a sync is due.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use crate::base::clock;

use super::Shared;
use super::committer::{Committer, RETRY, Turn};
use super::log::{AppendError, Disk};
use super::queue_state::QueueState;
use super::refill::{Refill, Refilled};
use crate::config::Sync;

/// What has become of the spool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Open,
    /// Everything that was committed is durable, but what a full disk had no room for.
    Closed,
    Dead(String),
}

/// Says that the spool is dead when its thread ends in any other way than it should.
struct Witness<'a>(&'a watch::Sender<Life>);

pub(super) fn start<D: Disk>(
    shared: &Arc<Shared>,
    committer: Committer<D>,
    refill: Refill<D>,
    sync: Sync,
) -> std::io::Result<()> {
    let (writing, reading) = (shared.clone(), shared.clone());
    std::thread::Builder::new().name("spool-commit".into()).spawn(move || commit(&writing, committer, sync))?;
    std::thread::Builder::new().name("spool-refill".into()).spawn(move || read(&reading, refill))?;
    Ok(())
}

fn commit<D: Disk>(shared: &Shared, mut committer: Committer<D>, sync: Sync) {
    let witness = Witness(&shared.life);
    committer.write_checkpoints_beside();
    let life = match commit_until_closed(shared, &mut committer, sync) {
        Ok(()) => Life::Closed,
        Err(error) => {
            tracing::error!("{error}; nothing is acknowledged any more");
            Life::Dead(error.to_string())
        }
    };
    // The folder is free before anybody hears of the end.
    drop(committer);
    shared.end();
    witness.0.send_replace(life);
}

fn commit_until_closed<D: Disk>(shared: &Shared, committer: &mut Committer<D>, sync: Sync) -> Result<(), AppendError> {
    let mut sync_due = None;
    loop {
        let closing = shared.begin_turn();
        let turn = committer.turn(shared)?;
        if let Sync::Interval(every) = sync
            && turn == Turn::Worked
        {
            sync_due.get_or_insert_with(|| clock::now() + every);
        }
        if sync_due.is_some_and(|due| due <= clock::now()) {
            committer.log_mut().sync_now()?;
            sync_due = None;
        }
        match turn {
            Turn::Worked => {}
            // What has no room when it closes is not acknowledged, so that its devices keep it.
            Turn::Idle | Turn::Full(_) if closing => return committer.log_mut().sync_now(),
            Turn::Idle => {
                let due = [sync_due, committer.sweep_due(), committer.checkpoint_due(), committer.wills_due()];
                shared.sleep_until_work(due.into_iter().flatten().min());
            }
            Turn::Full(retry) => {
                let due = [sync_due, Some(retry), committer.checkpoint_due()];
                shared.sleep_until_work(due.into_iter().flatten().min());
            }
        }
    }
}

fn read<D: Disk>(shared: &Shared, mut refill: Refill<D>) {
    let _witness = Witness(&shared.life);
    while !shared.has_ended() {
        match refill.turn(shared) {
            Ok(Refilled::Some) => {}
            Ok(Refilled::Idle) => shared.sleep_until_want(),
            // With the weaker levels of sync a message may be in the queue state before it is readable.
            Ok(Refilled::Stuck) => shared.pause(),
            Err(error) => {
                tracing::error!("the spool cannot be read: {error}; trying again");
                shared.pause();
            }
        }
    }
}

// === impl Witness ===

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.send_replace(Life::Dead("a thread of the spool has panicked".into()));
        }
    }
}

// === impl Shared ===

impl Shared {
    /// Until records wait, completions are due, somebody asks whether it turns, the spool closes, or a moment.
    fn sleep_until_work(&self, until: Option<Instant>) {
        let mut queue_state = self.queue_state();
        while queue_state.incoming.is_empty() && !queue_state.closing && !queue_state.heartbeat.is_asked() {
            let now = clock::now();
            let due = [until, queue_state.completions.due()].into_iter().flatten().min();
            let Some(due) = due else {
                queue_state.wake_ups.is_committer_asleep = true;
                queue_state = self.work.wait(queue_state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let Some(left) = due.checked_duration_since(now).filter(|left| !left.is_zero()) else { return };
            queue_state.wake_ups.is_committer_asleep = true;
            (queue_state, _) = self.work.wait_timeout(queue_state, left).unwrap_or_else(PoisonError::into_inner);
        }
        queue_state.wake_ups.is_committer_asleep = false;
    }

    /// Until a backlog wants to be read on.
    fn sleep_until_want(&self) {
        let idle = |queue_state: &mut QueueState| {
            let is_idle = !queue_state.dead && !queue_state.has_want();
            queue_state.wake_ups.is_refill_asleep = is_idle;
            is_idle
        };
        drop(self.wants.wait_while(self.queue_state(), idle));
    }

    /// Before the same thing is tried again.
    fn pause(&self) {
        drop(self.wants.wait_timeout_while(self.queue_state(), RETRY, |queue_state| !queue_state.dead));
    }

    fn has_ended(&self) -> bool {
        self.queue_state().dead
    }

    /// Nothing more is taken; what waits is dropped without an ack.
    pub fn end(&self) {
        let mut queue_state = self.queue_state();
        queue_state.dead = true;
        let dropped = std::mem::take(&mut queue_state.incoming);
        drop(queue_state);
        drop(dropped);
        self.wants.notify_all();
    }
}
