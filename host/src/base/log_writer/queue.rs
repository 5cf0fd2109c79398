//! Lines that wait to be written, and the count of those that were lost. Pure.

use std::collections::VecDeque;

/// What may wait. A reader that is away for a moment misses nothing; one that is gone costs this much memory.
pub const MAX_LINES: usize = 8 * 1024;
pub const MAX_BYTES: usize = 1 << 20;

#[derive(Default)]
pub struct Queue {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// The line that was taken last is on its way.
    is_writing: bool,
    lost: u64,
    /// Of the lost: those that were told.
    told: u64,
}

// === impl Queue ===

impl Queue {
    /// Lines that were lost since the start.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    pub fn is_busy(&self) -> bool {
        self.is_writing || !self.lines.is_empty()
    }

    #[cfg(test)]
    pub fn waiting(&self) -> usize {
        self.lines.len()
    }

    pub fn push(&mut self, line: &[u8]) {
        if self.lines.len() >= MAX_LINES || self.bytes + line.len() > MAX_BYTES {
            return self.lose();
        }
        self.bytes += line.len();
        self.lines.push_back(line.to_vec());
    }

    pub fn pop(&mut self) -> Option<Vec<u8>> {
        let line = self.lines.pop_front()?;
        self.bytes -= line.len();
        self.is_writing = true;
        Some(line)
    }

    /// When there is room for the line that tells it.
    pub fn take_untold(&mut self) -> Option<(u64, u64)> {
        let has_room = self.lines.len() < MAX_LINES / 2 && self.bytes < MAX_BYTES / 2;
        let untold = self.lost - self.told;
        if untold == 0 || !has_room {
            return None;
        }
        self.told = self.lost;
        Some((untold, self.lost))
    }

    /// The line that was taken last has gone, or is lost.
    pub fn written(&mut self) {
        self.is_writing = false;
    }

    pub fn lose(&mut self) {
        self.lost += 1;
    }
}
