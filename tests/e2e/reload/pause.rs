//! How long a device waits for an acknowledgement while the gateway reloads, beside how long it waits otherwise.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tidegate_tests::raw::Raw;
use tidegate_tests::wire::V5;

/// A device that sends one message after the other, each when the one before it is acknowledged.
pub struct Metronome {
    stop: Arc<AtomicBool>,
    device: JoinHandle<(Raw, Vec<Beat>)>,
}

struct Beat {
    begun: Instant,
    ended: Instant,
}

/// What it waited for.
pub struct Beats {
    beats: Vec<Beat>,
    _connected: Raw,
}

pub type Span = (Instant, Instant);

// === impl Metronome ===

impl Metronome {
    pub fn start(address: SocketAddr, client: &str, topic: &'static str) -> Self {
        let mut raw = Raw::clean(address, V5, client);
        let stop = Arc::<AtomicBool>::default();
        let stopped = stop.clone();
        let device = thread::spawn(move || {
            let mut beats = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let begun = Instant::now();
                raw.publish(topic, "beat", 1);
                beats.push(Beat { begun, ended: Instant::now() });
            }
            (raw, beats)
        });
        Self { stop, device }
    }

    pub fn stop(self) -> Beats {
        self.stop.store(true, Ordering::Relaxed);
        let (raw, beats) = self.device.join().expect("each message is acknowledged");
        Beats { beats, _connected: raw }
    }
}

// === impl Beats ===

impl Beats {
    /// The longest wait in each of these, and of those the one in the middle: what else the machine does falls out.
    pub fn usual_worst(&self, spans: &[Span]) -> Duration {
        let worst = |(from, to): &Span| {
            let within = self.beats.iter().filter(|beat| beat.ended >= *from && beat.begun <= *to);
            within.map(|beat| beat.ended - beat.begun).max().unwrap_or_default()
        };
        let mut all: Vec<_> = spans.iter().map(worst).collect();
        all.sort();
        all.get(all.len() / 2).copied().unwrap_or_default()
    }
}
