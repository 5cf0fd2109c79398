//! Gives up what waits for one upstream, in a spool that nobody runs.

use std::path::Path;

use super::committer::Turn;
use super::log::{AppendError, Disk, OsDisk};
use super::{OpenError, open};
use crate::config;

/// Frees what the upstream pins, whether it is configured or not. How many messages were given up.
pub fn purge(dir: &Path, upstream: &str, config: &config::Spool) -> Result<u64, OpenError> {
    purge_on(OsDisk, dir, upstream, config)
}

pub(super) fn purge_on<D: Disk>(disk: D, dir: &Path, upstream: &str, config: &config::Spool) -> Result<u64, OpenError> {
    let failed = |error: AppendError| OpenError::Write(error.to_string());
    let mut parts = open::open(disk, dir, &[upstream], config, Default::default())?;
    let numbers = parts.committer.incomplete(upstream);
    let count = numbers.numbers().count() as u64;
    parts.shared.queue_state().completions.all_done(0, &numbers);
    loop {
        match parts.committer.turn(&parts.shared).map_err(failed)? {
            Turn::Worked => {}
            Turn::Idle => break,
            Turn::Full(_) => return Err(OpenError::Write("the disk has no room for the note of it".into())),
        }
    }
    parts.committer.log_mut().sync_now().map_err(failed)?;
    Ok(count)
}
