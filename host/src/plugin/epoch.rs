//! The clock of the guests: a thread that ends each epoch after a millisecond.
//!
//! Compiled guest code compares the engine's epoch with its deadline at every loop and function. Somebody has to move the
//! epoch. A tick of 1 ms costs the guests nothing (they read a number) and kills a loop at its deadline + 0..1 ms; with 5 ms
//! the error would be as large as a short deadline.
//!
//! A thousand wake-ups per second are a burden on a gateway that is idle, so the thread parks when no call has run for
//! `LINGER`. The lingering is what makes it cheap: waking a parked thread is a system call, which a stream of messages pays
//! once and not for each.
//!
//! Ticks are counted, not measured: after the process was stopped and continued, no plugin is killed for the time in which
//! it could not run. What a single thread was kept from is not seen here: that is what `deadline` looks at.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub const TICK: Duration = Duration::from_millis(1);

/// Idle ticks before the thread parks.
const LINGER: u32 = 100;

pub struct EpochTicker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// Calls that run now.
    calls: AtomicUsize,
    parked: AtomicBool,
    stop: AtomicBool,
}

/// A call that runs: the epochs advance while it lives.
pub struct Ticking<'a>(&'a Shared);

// === impl EpochTicker ===

impl EpochTicker {
    pub fn start(tick: impl Fn() + Send + 'static) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let watched = Arc::clone(&shared);
        let thread = thread::Builder::new().name("plugin-epochs".into()).spawn(move || watched.run(tick))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    pub fn hold(&self) -> Ticking<'_> {
        self.shared.calls.fetch_add(1, SeqCst);
        // Sequentially consistent on both sides: either the thread sees our call before it parks, or we see it parked.
        if self.shared.parked.load(SeqCst) {
            self.wake();
        }
        Ticking(&self.shared)
    }

    /// How many ticks take so long, and no less: for one who has just seen a tick.
    pub fn ticks(time: Duration) -> u64 {
        u64::try_from(time.as_nanos().div_ceil(TICK.as_nanos())).unwrap_or(u64::MAX / 2)
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for EpochTicker {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // At most a tick away. Its panic, if any, has been printed; nothing here can be saved by it.
            let _ = thread.join();
        }
    }
}

// === impl Shared ===

impl Shared {
    fn run(&self, tick: impl Fn()) {
        let mut idle = 0;
        while !self.stop.load(SeqCst) {
            thread::sleep(TICK);
            tick();
            idle = if self.calls.load(SeqCst) == 0 { idle + 1 } else { 0 };
            if idle >= LINGER {
                self.park();
                idle = 0;
            }
        }
    }

    fn park(&self) {
        self.parked.store(true, SeqCst);
        while self.calls.load(SeqCst) == 0 && !self.stop.load(SeqCst) {
            thread::park();
        }
        self.parked.store(false, SeqCst);
    }
}

// === impl Ticking ===

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn it_ticks_while_a_call_runs_parks_when_idle_and_wakes_again() {
        let (ticks, ticked) = mpsc::sync_channel(0);
        let ticker = EpochTicker::start(move || ticks.send(()).unwrap_or(())).unwrap();
        let call = ticker.hold();
        for _ in 0..3 * LINGER {
            ticked.recv().unwrap();
        }
        drop(call);
        while !ticker.shared.parked.load(SeqCst) {
            let _ = ticked.try_recv();
            thread::yield_now();
        }
        let _call = ticker.hold();
        ticked.recv().unwrap();
        drop(ticked);
    }

    #[test]
    fn time_is_never_shortened_by_counting_it_in_ticks() {
        assert_eq!(EpochTicker::ticks(Duration::from_millis(50)), 50);
        assert_eq!(EpochTicker::ticks(Duration::from_micros(1_200)), 2);
        assert!(EpochTicker::ticks(Duration::MAX) > u64::MAX / 4);
    }
}
