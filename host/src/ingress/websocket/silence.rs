//! How many frames a client may send that carry nothing of MQTT: pings and pongs, and empty ones one after the other.
//!
//! They cost what a packet costs, and no limit of a client counts them: nothing of them reaches its connection. Who keeps a connection alive by them
//! sends one in some seconds.

use std::time::Duration;

use tokio::time::Instant;

/// In [`SPAN`].
const MOST: u32 = 100;
const SPAN: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub struct Silence {
    since: Option<Instant>,
    frames: u32,
}

// === impl Silence ===

impl Silence {
    /// Whether so many more may come now.
    pub fn permits(&mut self, frames: u32, now: Instant) -> bool {
        if self.since.is_none_or(|since| now.duration_since(since) >= SPAN) {
            *self = Self { since: Some(now), frames: 0 };
        }
        self.frames = self.frames.saturating_add(frames);
        self.frames <= MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_in_a_span_and_in_the_next_one_again() {
        let (mut silence, now) = (Silence::default(), Instant::now());
        assert!(silence.permits(MOST, now) && !silence.permits(1, now + SPAN / 2));
        assert!(silence.permits(1, now + SPAN) && !silence.permits(MOST, now + SPAN));
    }
}
