//! Deadlines of a connection: silence of the device, and a device that does not read.

use super::*;

/// A device that takes nothing of what it is sent for so long is gone, whatever its keep-alive says.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// The clock is not looked at more often than this.
const SHORTEST_TICK: Duration = Duration::from_millis(100);

impl<R, W> Connection<R, W> {
    /// When to look at the clock again.
    pub(super) fn deadline(&self) -> Instant {
        let now = Instant::now();
        let write = now + WRITE_TIMEOUT;
        let silence = self.silence_allowed.map_or(write, |allowed| self.heard_at + allowed);
        let held_back = self.session.held_back_until().filter(|until| *until > now).unwrap_or(write);
        silence.min(write).min(held_back).max(now + SHORTEST_TICK)
    }

    pub(super) fn check_deadlines(&mut self) -> Result<(), End> {
        if self.wire.has_unsent() && self.wrote_at.elapsed() >= WRITE_TIMEOUT {
            return Err(End::Left);
        }
        if !self.reads() {
            // It has spoken, and we do not listen.
            self.heard_at = Instant::now();
        }
        match self.silence_allowed {
            Some(allowed) if self.heard_at.elapsed() >= allowed => {
                Err(because(Reason::KEEP_ALIVE_TIMEOUT, "nothing heard for one and a half keep-alives"))
            }
            _ => Ok(()),
        }
    }
}
