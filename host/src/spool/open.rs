//! From a folder to a spool: read the log into an image, make the queue state from it, set the threads to work.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;

use super::committer::{Committer, max_record};
use super::image::Image;
use super::log::{AppendError, Disk, Location, Log, Options, Recovery};
use super::offsets::Offsets;
use super::queue_state::QueueState;
use super::refill::{Refill, Refilled};
use super::threads::Life;
use super::upstream_queue::UpstreamQueue;
use super::wake_ups::Signals;
use super::{DEAD_LETTERS, Key, OpenError, Orphan, Report, Restored, Room, Shared};
use crate::base::kill_point::{self, KillPoint};
use crate::config;
use crate::metrics::Counters;

/// The working parts, before they have threads.
pub(super) struct Parts<D: Disk> {
    pub shared: Arc<Shared>,
    pub committer: Committer<D>,
    pub refill: Refill<D>,
    pub restored: Restored,
}

pub(super) fn open<D: Disk>(
    disk: D,
    dir: &Path,
    upstreams: &[&str],
    config: &config::Spool,
    counters: Arc<Counters>,
) -> Result<Parts<D>, OpenError> {
    let mut image = Image::of_recovery();
    let (mut log, recovery) = Log::open(disk, dir, options(config), &mut |at, frame| image.apply(at, frame))?;
    log.measure_in(counters.spool.clone());
    kill_point::reach(KillPoint::Recovered);
    image.anchor();
    // Without a sync for each group, what was not synced may have been acknowledged.
    if config.sync == config::Sync::Group {
        image.forgive(&recovery.torn);
    }
    let mut names: Vec<Arc<str>> = upstreams.iter().map(|name| Arc::from(*name)).collect();
    let report = report(&recovery, &image, &names);
    names.extend(report.orphaned.iter().map(|orphan| Arc::from(&*orphan.upstream)));
    let mut queues: Vec<UpstreamQueue> =
        names.iter().map(|name| UpstreamQueue::restored(image.offsets_mut(name))).collect();
    queues.iter_mut().skip(upstreams.len()).for_each(|queue| queue.is_orphan = true);
    for (queue, name) in queues.iter_mut().zip(&names).filter(|(_, name)| ***name != *DEAD_LETTERS) {
        let metrics = counters.upstreams.of(name);
        metrics.recovered.add(image.offsets_mut(name).incomplete());
        queue.metrics = Some(metrics);
    }
    counters.corrupt.add(image.lost);
    let refill = Refill::new(log.reader(Location::START), names.clone());
    let state = image.state().entries().iter().filter(|(key, _)| !is_ours(key));
    let restored =
        Restored { state: state.map(|(key, value)| (key.clone(), value.clone())).collect(), recovery: report };
    let max_record = usize::try_from(max_record(log.max_append())).unwrap_or(usize::MAX);
    let room = Room { names: names.clone(), qos0: config.qos0, max_record };
    let shared = Arc::new(shared(&image, room, queues, config, counters));
    let is_suspect = restored.recovery.is_damaged() || image.has_old_state();
    let mut committer = Committer::new(log, image, names, upstreams.len(), config.clone());
    if is_suspect {
        committer.suspect_all();
    }
    let mut parts = Parts { shared, committer, refill, restored };
    parts.begin()?;
    Ok(parts)
}

pub(super) fn options(config: &config::Spool) -> Options {
    let &config::Spool { max_bytes, free_floor, sync, .. } = config;
    Options { segment_bytes: Options::SEGMENT_BYTES, max_bytes, free_floor, sync }
}

/// What egress keeps here is given to it by its queue.
fn is_ours(key: &Key) -> bool {
    matches!(key, Key::Upstream { .. } | Key::Released { .. })
}

fn shared(
    image: &Image,
    room: Room,
    mut queues: Vec<UpstreamQueue>,
    config: &config::Spool,
    counters: Arc<Counters>,
) -> Shared {
    let names = &room.names;
    let recovered: Vec<_> = names.iter().map(|name| super::sink::restore(image, name)).collect();
    for (queue, recovered) in queues.iter_mut().zip(&recovered) {
        queue.mark_possibly_sent(recovered.sent_below);
    }
    let dead_letters = names.iter().position(|name| **name == *DEAD_LETTERS);
    let queue_state = QueueState::new(queues, dead_letters, config, counters, names);
    Shared {
        queue_state: std::sync::Mutex::new(queue_state),
        work: std::sync::Condvar::new(),
        wants: std::sync::Condvar::new(),
        life: watch::Sender::new(Life::Open),
        signals: room.names.iter().map(|_| Signals::default()).collect(),
        recovered,
        room,
        max_age: config.max_age,
        dead_letters,
        #[cfg(test)]
        manual_driver: std::sync::OnceLock::new(),
    }
}

fn orphan(offsets: &Offsets) -> Orphan {
    Orphan { upstream: offsets.name.to_string(), messages: offsets.incomplete(), bytes: offsets.bytes().0 }
}

fn report(recovery: &Recovery, image: &Image, names: &[Arc<str>]) -> Report {
    let is_letters = |offsets: &Offsets| *offsets.name == *DEAD_LETTERS;
    let is_known = |offsets: &Offsets| names.contains(&offsets.name) && !is_letters(offsets);
    let is_orphan = |offsets: &Offsets| !names.contains(&offsets.name) && !is_letters(offsets);
    let orphaned = image.all_offsets().iter().filter(|offsets| is_orphan(offsets) && offsets.incomplete() > 0);
    Report {
        frames: recovery.frames,
        waiting: image.all_offsets().iter().filter(|offsets| is_known(offsets)).map(Offsets::incomplete).sum(),
        lost: image.lost,
        quarantined: recovery.quarantined.iter().filter(|one| !one.known).count() as u64 + recovery.unlisted,
        missing_segments: recovery.missing.iter().map(|gap| gap.end - gap.start).sum(),
        damaged_checkpoints: recovery.damaged_checkpoints,
        is_state_lost: !image.has_whole_state(recovery.first_segment),
        unreadable: image.unreadable,
        orphaned: orphaned.map(orphan).collect(),
        took: recovery.took,
    }
}

// === impl Parts ===

impl<D: Disk> Parts<D> {
    /// The first segment, and the first of each backlog in memory: who starts now finds something to send.
    fn begin(&mut self) -> Result<(), OpenError> {
        self.committer.begin(&self.shared).map_err(|error: AppendError| OpenError::Write(error.to_string()))?;
        while self.refill.turn(&self.shared).map_err(OpenError::Read)? == Refilled::Some {}
        Ok(())
    }
}
