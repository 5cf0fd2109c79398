//! What is on disk and outlives the process: the spool, the archive of dead letters, and the time that their deadlines are told in.

use std::sync::Arc;

use tokio::time::Instant;

use super::timekeeper::Timekeeper;
use crate::base::timeline::{self, AnchorFile};
use crate::config::{Config, Sync};
use crate::dead_letter::{Archive, ArchiveHandle, DEAD_LETTERS, FOLDER};
use crate::metrics::Counters;
use crate::spool::{Restored, Spool, log};

/// The log of what is acknowledged and not forwarded, in the data folder.
pub const SPOOL: &str = "spool";

pub struct Storage {
    pub spool: Spool,
    pub archive: ArchiveHandle,
    timekeeper: Timekeeper,
}

// === impl Storage ===

impl Storage {
    pub fn open(config: &Config, counters: &Arc<Counters>) -> anyhow::Result<(Self, Restored)> {
        let data_dir = &config.gateway.data_dir;
        // Before anything that is older than this process is read.
        timeline::begin(AnchorFile::read(data_dir).as_ref());
        let (spool, restored) = open_spool(config, counters.clone())?;
        let archive = open_archive(config, counters.clone())?;
        // The spool's lock is held: no other gateway writes into this folder.
        let timekeeper = Timekeeper::start(data_dir);
        Ok((Self { spool, archive, timekeeper }, restored))
    }

    pub async fn close(self, by: Instant) {
        let (closed, ()) = tokio::join!(tokio::time::timeout_at(by, self.spool.close()), self.timekeeper.stop(by));
        if closed.is_err() {
            tracing::warn!("the spool did not close in time; the next start recovers it");
        }
    }
}

fn open_spool(config: &Config, counters: Arc<Counters>) -> anyhow::Result<(Spool, Restored)> {
    let upstreams = config.upstreams.iter().map(|upstream| upstream.name.as_str());
    let names: Vec<&str> = upstreams.chain([DEAD_LETTERS]).collect();
    let (spool, restored) = Spool::open(&config.gateway.data_dir.join(SPOOL), &names, &config.spool, counters)?;
    restored.recovery.log();
    spool.divide_among(&config.writers());
    match config.spool.sync {
        Sync::Group => {}
        Sync::Interval(every) => {
            tracing::warn!("`sync`: a power cut loses what was acknowledged in the last {every:?}")
        }
        Sync::Os => tracing::warn!("`sync`: a power cut loses what was acknowledged in about the last 30 s"),
    }
    Ok((spool, restored))
}

/// After the spool: the archive has to know whether it is the one that its letters came from.
fn open_archive(config: &Config, counters: Arc<Counters>) -> anyhow::Result<ArchiveHandle> {
    let spool = log::identity(&config.gateway.data_dir.join(SPOOL))?;
    let archive = Archive::open(&config.gateway.data_dir.join(FOLDER), &config.dead_letters, spool, counters)?;
    Ok(ArchiveHandle::new(archive))
}
