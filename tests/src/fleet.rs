//! Many stubborn devices at once, a thread each, which follow their gateway from one address to the next.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::eventually::soon;
use crate::oracle::Oracle;
use crate::stubborn::{Habits, Stubborn};

/// Messages that each device sends after everything has healed: life goes on.
pub const FRESH: usize = 5;

/// How long a device listens before it looks around.
const LISTEN: Duration = Duration::from_millis(10);

pub struct Fleet {
    shared: Arc<Shared>,
    devices: Vec<JoinHandle<Stubborn>>,
}

#[derive(Default)]
struct Shared {
    gateway: Mutex<Option<SocketAddr>>,
    /// What each device does between two bursts.
    pause: Duration,
    /// Locked while devices listen; the number of times that they were cut off.
    cuts: RwLock<u64>,
    last: AtomicBool,
    acknowledged: AtomicUsize,
}

/// What the devices know when they are done.
pub struct Log {
    pub oracle: Oracle,
    /// How often a gateway did not know a session any more.
    pub forgotten: usize,
}

// === impl Fleet ===

impl Fleet {
    pub fn start(habits: impl IntoIterator<Item = Habits>) -> Self {
        Self::paced(habits, Duration::ZERO)
    }

    /// With a pause between a burst and the next one. Without it devices send as fast as they are acknowledged, which is faster
    /// than any upstream takes it.
    pub fn paced(habits: impl IntoIterator<Item = Habits>, pause: Duration) -> Self {
        let shared = Arc::new(Shared { pause, ..Shared::default() });
        let device = |habits: Habits| {
            let shared = shared.clone();
            thread::spawn(move || shared.drive(Stubborn::new(habits)))
        };
        Self { devices: habits.into_iter().map(device).collect(), shared }
    }

    pub fn len(&self) -> usize {
        self.devices.len()
    }

    pub fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    /// Where the gateway is now; `None` for nowhere.
    pub fn look_at(&self, gateway: Option<SocketAddr>) {
        *self.shared.gateway.lock().unwrap_or_else(PoisonError::into_inner) = gateway;
    }

    /// From its first moment on, no device hears anything of the gateway that it is connected to, also not what is under way.
    pub fn cut_off<T>(&self, meanwhile: impl FnOnce() -> T) -> T {
        let mut cuts = self.shared.cuts.write().unwrap_or_else(PoisonError::into_inner);
        *cuts += 1;
        meanwhile()
    }

    pub fn acknowledged(&self) -> usize {
        self.shared.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until so many more are acknowledged.
    pub fn wait_for_more(&self, count: usize) {
        let enough = self.acknowledged() + count;
        soon("the gateway acknowledges", || {
            self.assert_well();
            self.acknowledged() >= enough
        });
    }

    /// Every device finishes what it has begun, sends a few more, and leaves.
    pub fn finish(self) -> Log {
        self.shared.last.store(true, Ordering::Relaxed);
        soon("every device gets its last acks", || self.devices.iter().all(JoinHandle::is_finished));
        let mut log = Log { oracle: Oracle::new(), forgotten: 0 };
        for device in self.devices {
            let device = device.join().expect("a device that was not cut off");
            log.forgotten += device.forgotten();
            log.oracle.absorb(device.into_oracle());
        }
        log
    }

    /// A device that panicked has seen something that must not be.
    fn assert_well(&self) {
        assert!(!self.devices.iter().any(JoinHandle::is_finished), "a device has given up");
    }
}

// === impl Shared ===

impl Shared {
    fn drive(&self, mut device: Stubborn) -> Stubborn {
        let (mut left, mut cuts) = (None, 0);
        loop {
            if !device.is_connected() {
                self.connect(&mut device);
            }
            if left.is_none() && self.last.load(Ordering::Relaxed) {
                left = Some(FRESH);
            }
            let sent = if device.is_connected() { device.send(left.unwrap_or(usize::MAX)) } else { 0 };
            left = left.map(|left| left - sent);
            self.listen(&mut device, &mut cuts);
            if left == Some(0) && device.is_idle() {
                return device;
            }
            if sent > 0 {
                thread::sleep(self.pause);
            }
        }
    }

    fn listen(&self, device: &mut Stubborn, cuts: &mut u64) {
        let now = self.cuts.read().unwrap_or_else(PoisonError::into_inner);
        if *now != *cuts {
            *cuts = *now;
            return device.hang_up();
        }
        let before = device.obligations();
        device.listen(LISTEN);
        self.acknowledged.fetch_add(device.obligations() - before, Ordering::Relaxed);
    }

    fn connect(&self, device: &mut Stubborn) {
        let gateway = *self.gateway.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gateway) = gateway {
            device.connect(gateway);
        }
        if !device.is_connected() {
            thread::sleep(LISTEN);
        }
    }
}
