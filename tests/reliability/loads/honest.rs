//! Who was there before and wants nothing unusual: devices that publish at a steady rate, and one that only pings.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tidegate_tests::raw::{Next, Raw};
use tidegate_tests::wire::{PING, PUBACK, V5, publish};

const DEVICES: usize = 4;

/// Between two messages of a device: two hundred a second of all together.
const PERIOD: Duration = Duration::from_millis(20);
const PINGS: Duration = Duration::from_millis(50);

/// Who gets no answer for so long is counted with this time, and stops.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Honest {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    is_over: AtomicBool,
    seen: Mutex<Seen>,
}

/// Since somebody asked last.
#[derive(Debug, Default)]
pub struct Seen {
    /// From when a message was due until its PUBACK: what waits behind a late one is late, too.
    acks: Vec<Duration>,
    pings: Vec<Duration>,
    /// Messages without a good answer.
    pub failed: usize,
}

// === impl Honest ===

impl Honest {
    pub fn start(gateway: SocketAddr) -> Self {
        let shared = Arc::new(Shared::default());
        let publisher = |number: usize| {
            let (shared, device) = (shared.clone(), Raw::clean(gateway, V5, &format!("honest{number}")));
            thread::spawn(move || shared.publish(device, number))
        };
        let mut threads: Vec<_> = (0..DEVICES).map(publisher).collect();
        let (idle, owned) = (Raw::clean(gateway, V5, "idle"), shared.clone());
        threads.push(thread::spawn(move || owned.ping(idle)));
        Self { shared, threads }
    }

    /// What was seen until now, and a new beginning.
    pub fn take(&self) -> Seen {
        std::mem::take(&mut *self.shared.seen())
    }
}

impl Drop for Honest {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

// === impl Shared ===

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, mut device: Raw, number: usize) {
        let (topic, mut due) = (format!("honest/{number}"), Instant::now());
        for id in (1..=u16::MAX).cycle() {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if self.is_over.load(Ordering::Relaxed) {
                return;
            }
            device.send(&publish(V5, &topic, "1").qos(1, id).encode());
            let answer = device.next(PATIENCE);
            let is_good = matches!(&answer, Next::Packet(ack) if ack.kind() == PUBACK && ack.reason() < 0x80);
            self.seen().acks.push(due.elapsed());
            self.seen().failed += usize::from(!is_good);
            if !matches!(answer, Next::Packet(_)) {
                return;
            }
            due += PERIOD;
        }
    }

    fn ping(&self, mut idle: Raw) {
        while !self.is_over.load(Ordering::Relaxed) {
            let asked = Instant::now();
            idle.send(PING);
            let is_good = matches!(idle.next(PATIENCE), Next::Packet(_));
            self.seen().pings.push(asked.elapsed());
            if !is_good {
                self.seen().failed += 1;
                return;
            }
            thread::sleep(PINGS);
        }
    }
}

// === impl Seen ===

impl Seen {
    /// From when a message was due until its ack, of so many in a hundred at most.
    pub fn percentile(&self, percent: usize) -> Duration {
        let mut acks = self.acks.clone();
        acks.sort_unstable();
        let at = (acks.len() * percent / 100).min(acks.len().saturating_sub(1));
        acks.get(at).copied().unwrap_or_default()
    }

    pub fn longest_ping(&self) -> Duration {
        self.pings.iter().max().copied().unwrap_or_default()
    }
}
