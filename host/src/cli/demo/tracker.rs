//! What happens while the demo runs: written by devices and sink, read by the table and, at the end, by the verdict.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, Semaphore};

use super::plan::Plan;
use crate::message::QoS;
use crate::metrics::Counter;

/// Messages of one device that are meant to arrive and have not yet. This is what paces the devices, those at QoS 0 above
/// all: nothing else holds them back, and a gateway may drop what comes too fast. With it, nothing may be missing at any
/// QoS. Small, so that the latency is the pipeline's and not that of a queue before it.
const UNDER_WAY: usize = 16;

pub struct Tracker {
    began: Instant,
    tracks: Vec<Track>,
    arrivals: Mutex<Arrivals>,
    /// Something went on: whoever waits for the end looks again.
    news: Notify,
}

/// One device.
pub struct Track {
    /// When each message was given to its client, in nanoseconds since the beginning.
    left_at: Vec<AtomicU64>,
    pub sent: Counter,
    /// Written at QoS 0, acknowledged at QoS 1 and 2.
    pub completed: Counter,
    pub arrived: Counter,
    places: Semaphore,
}

#[derive(Default)]
struct Arrivals {
    in_order: Vec<Arrival>,
    /// What is no message of a device, in its own words.
    strays: Vec<String>,
}

/// A message at the sink.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arrival {
    pub device: usize,
    pub n: usize,
    /// That it came with.
    pub qos: QoS,
    /// That its payload says.
    pub said_qos: u8,
    pub value: Option<f64>,
    pub latency: Duration,
}

// === impl Tracker ===

impl Tracker {
    pub fn new(plan: &Plan) -> Self {
        let tracks = plan.devices.iter().map(|device| Track::new(device.messages.len())).collect();
        Self { began: Instant::now(), tracks, arrivals: Mutex::default(), news: Notify::new() }
    }

    pub fn track(&self, device: usize) -> Option<&Track> {
        self.tracks.get(device)
    }

    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// A message is about to be sent. Waits for a place when it is meant to arrive.
    pub async fn leave(&self, device: usize, n: usize, is_expected: bool) {
        let Some(track) = self.track(device) else { return };
        if is_expected && let Ok(place) = track.places.acquire().await {
            // Given back by the arrival.
            place.forget();
        }
        if let Some(left_at) = track.left_at.get(n) {
            left_at.store(self.now(), Ordering::Relaxed);
        }
        track.sent.increment();
    }

    pub fn complete(&self, device: usize) {
        if let Some(track) = self.track(device) {
            track.completed.increment();
        }
        self.news.notify_one();
    }

    /// `arrival` has everything but its latency.
    pub fn arrive(&self, mut arrival: Arrival) {
        if let Some(track) = self.track(arrival.device) {
            let left_at = track.left_at.get(arrival.n).map_or(0, |left_at| left_at.load(Ordering::Relaxed));
            arrival.latency = Duration::from_nanos(self.now().saturating_sub(left_at));
            track.arrived.increment();
            track.places.add_permits(1);
        }
        self.arrivals().in_order.push(arrival);
        self.news.notify_one();
    }

    pub fn stray(&self, what: String) {
        self.arrivals().strays.push(what);
    }

    /// Everything that came, in the order it came.
    pub fn arrived(&self) -> (Vec<Arrival>, Vec<String>) {
        let arrivals = self.arrivals();
        (arrivals.in_order.clone(), arrivals.strays.clone())
    }

    pub fn latencies(&self) -> Vec<Duration> {
        self.arrivals().in_order.iter().map(|arrival| arrival.latency).collect()
    }

    /// How far it has come: rises with everything that happens.
    pub fn progress(&self) -> (u64, u64) {
        let sum = |count: fn(&Track) -> u64| self.tracks.iter().map(count).sum();
        (sum(|track| track.completed.get()), sum(|track| track.arrived.get()))
    }

    /// Returns after something went on since the last call.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn arrivals(&self) -> MutexGuard<'_, Arrivals> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Track ===

impl Track {
    fn new(messages: usize) -> Self {
        Self {
            left_at: (0..messages).map(|_| AtomicU64::new(0)).collect(),
            sent: Counter::default(),
            completed: Counter::default(),
            arrived: Counter::default(),
            places: Semaphore::new(UNDER_WAY),
        }
    }
}
