//! What the spool found when it was opened.

use std::time::Duration;

use super::{Key, Value};

/// What survived, for its owners; and what there is to say about the recovery.
#[derive(Debug, Default)]
pub struct Restored {
    /// Everything that was put and not deleted, in the order of the keys.
    pub state: Vec<(Key, Value)>,
    pub recovery: Report,
}

/// The recovery in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Intact frames that were read.
    pub frames: u64,
    /// Messages that wait for the upstreams of this configuration.
    pub waiting: u64,
    /// Messages that were in damaged parts of the log.
    pub lost: u64,
    /// Stretches of the log that did not verify; their bytes are in the folder `quarantine`.
    pub quarantined: u64,
    /// Segments that are not there although others show that they were.
    pub missing_segments: u64,
    /// Checkpoints of the state that are not whole.
    pub damaged_checkpoints: u64,
    /// State is gone with a checkpoint or a segment: retained messages, sessions, what plugins remember.
    pub is_state_lost: bool,
    /// Frames that are intact and make no sense to this version.
    pub unreadable: u64,
    /// Upstreams with messages in the spool that this configuration does not have. Their messages stay.
    pub orphaned: Vec<Orphan>,
    pub took: Duration,
}

/// An upstream that only the spool knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    pub upstream: String,
    pub messages: u64,
    /// About what they take on the disk.
    pub bytes: u64,
}

// === impl Report ===

impl Report {
    /// Something is not as it was written.
    pub(super) fn is_damaged(&self) -> bool {
        self.quarantined + self.lost + self.unreadable + self.missing_segments + self.damaged_checkpoints > 0
    }

    /// Tells what a person should know.
    pub fn log(&self) {
        tracing::info!(waiting = self.waiting, frames = self.frames, took = ?self.took, "spool open");
        let &Self { quarantined, lost, unreadable, missing_segments, damaged_checkpoints, .. } = self;
        if self.is_damaged() {
            tracing::error!(
                quarantined,
                lost,
                unreadable,
                missing_segments,
                damaged_checkpoints,
                "the spool was damaged; what there is of the bytes is in its folder `quarantine`. `tidegate spool verify` says where"
            );
        }
        if self.is_state_lost {
            tracing::error!(
                "the spool has lost state: a checkpoint or the segments before it are gone, and with them retained messages, sessions or \
                 what plugins remember"
            );
        }
        for Orphan { upstream, messages, bytes } in &self.orphaned {
            tracing::warn!(
                upstream,
                messages,
                bytes,
                "the spool keeps messages for an upstream that is not configured, and they take a share of it: configure it again, or \
                 drop them with `tidegate spool purge --upstream {upstream}`"
            );
        }
    }
}

/// Why the spool cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Log(#[from] super::log::OpenError),
    #[error("the spool cannot be read: {0}")]
    Read(std::io::Error),
    #[error("{0}")]
    Write(String),
    #[error("the spool's thread does not start: {0}")]
    Thread(std::io::Error),
}
