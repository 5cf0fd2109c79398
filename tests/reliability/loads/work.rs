//! Other work of the machine: as much of its processors as a load took, by something that is not the gateway.
//!
//! Gateway, attacker and measurement share two cores. A late ack may be the gateway's doing, or that of a kernel with more to run than it has cores. So
//! devices are also watched beside threads that do nothing but compute, for as much processor time as the load took.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::footprint::Footprint;

/// Each thread computes for a part of it, and sleeps for the rest.
const SPAN: Duration = Duration::from_millis(10);

/// A thread that would rest for less never does.
const ALWAYS: f64 = 0.95;

pub struct Work {
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// Processor time of the gateway and of this process, since a moment.
pub struct Used {
    gateway: Footprint,
    began: Instant,
    before: Duration,
}

// === impl Work ===

impl Work {
    /// Of so many cores.
    pub fn start(cores: f64) -> Self {
        let is_over = Arc::<AtomicBool>::default();
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let part = (cores / threads as f64).clamp(0.0, 1.0);
        let compute = |_| {
            let is_over = is_over.clone();
            thread::spawn(move || compute(part, &is_over))
        };
        let threads = (0..threads).map(compute).collect();
        Self { is_over, threads }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn compute(part: f64, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        let began = Instant::now();
        while began.elapsed() < SPAN.mul_f64(part) {
            std::hint::spin_loop();
        }
        if part < ALWAYS {
            thread::sleep(SPAN.saturating_sub(began.elapsed()));
        }
    }
}

// === impl Used ===

impl Used {
    pub fn since_now(gateway: Footprint) -> Self {
        Self { gateway, began: Instant::now(), before: of_both(gateway) }
    }

    /// Of how many cores, on the average.
    pub fn cores(&self) -> f64 {
        of_both(self.gateway).saturating_sub(self.before).div_duration_f64(self.began.elapsed())
    }
}

fn of_both(gateway: Footprint) -> Duration {
    gateway.processor_time() + Footprint::of(std::process::id()).processor_time()
}
