//! How large, how safe.

use super::format::MAX_BODY_BYTES;
use crate::config::Sync;

#[derive(Clone, Debug)]
pub struct Options {
    /// Room for frames in one segment, taken when the segment begins. Also the largest group of frames; at most a
    /// quarter of `max_bytes`, so that a small log still turns over, and at most [`MAX_BODY_BYTES`].
    pub segment_bytes: u64,
    /// Of all segments together, the preallocated one and the reserve included.
    pub max_bytes: u64,
    /// What stays free on the file system, for everybody else on the machine.
    pub free_floor: u64,
    pub sync: Sync,
}

// === impl Options ===

impl Options {
    pub const SEGMENT_BYTES: u64 = 32 << 20;

    pub(super) fn room(&self) -> u64 {
        self.segment_bytes.min(self.max_bytes / 4).min(MAX_BODY_BYTES as u64)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: Self::SEGMENT_BYTES, max_bytes: 4 << 30, free_floor: 64 << 20, sync: Sync::Group }
    }
}
