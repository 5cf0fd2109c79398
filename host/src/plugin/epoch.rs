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
//! They are a burden on a gateway with a hundred messages a second, too, whose calls last microseconds: ten wake-ups a message. So
//! the thread sleeps for a tenth of the shortest deadline, and moves the epoch by as many ticks, as long as it finds no call when it
//! wakes. When it finds one, that may be a long one: then it sleeps for a tick. What such a call computed before it was found is not
//! counted by its deadline, as what came before the first tick never was.
//!
//! Ticks are counted, not measured: after the process was stopped and continued, no plugin is killed for the time in which
//! it could not run. What a single thread was kept from is not seen here: that is what `deadline` looks at.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub const TICK: Duration = Duration::from_millis(1);

/// Idle ticks before the thread parks.
const LINGER: u32 = 100;

/// The most ticks in one sleep: a call is found within so many, whatever its deadline.
const LONGEST_STEP: u32 = 10;

/// What a call may compute without being found, as a part of its deadline.
const UNSEEN: u32 = 10;

pub struct EpochTicker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    /// Calls that run now.
    calls: AtomicUsize,
    /// Ticks in one sleep while no call is found.
    step: AtomicU32,
    parked: AtomicBool,
    stop: AtomicBool,
}

/// A call that runs: the epochs advance while it lives.
pub struct Ticking<'a>(&'a Shared);

// === impl EpochTicker ===

impl EpochTicker {
    pub fn start(tick: impl Fn() + Send + 'static) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::new());
        let watched = Arc::clone(&shared);
        let thread = thread::Builder::new().name("plugin-epochs".into()).spawn(move || watched.run(tick))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// A call begins that may take so long.
    pub fn hold(&self, deadline: Duration) -> Ticking<'_> {
        self.shared.shorten_step(deadline);
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
    fn new() -> Self {
        let step = AtomicU32::new(LONGEST_STEP);
        Self { calls: AtomicUsize::new(0), step, parked: AtomicBool::new(false), stop: AtomicBool::new(false) }
    }

    /// For good: that the plugin with the short deadline may be gone one day is not worth to be known here.
    fn shorten_step(&self, deadline: Duration) {
        let ticks = deadline.as_nanos() / TICK.as_nanos() / u128::from(UNSEEN);
        let step = u32::try_from(ticks).unwrap_or(LONGEST_STEP).clamp(1, LONGEST_STEP);
        // Read before it is written: calls on other threads read it, too.
        if step < self.step.load(Relaxed) {
            self.step.fetch_min(step, Relaxed);
        }
    }

    fn run(&self, tick: impl Fn()) {
        let (mut idle, mut is_found) = (0, false);
        while !self.stop.load(SeqCst) {
            let step = if is_found { 1 } else { self.step.load(Relaxed) };
            thread::sleep(TICK * step);
            (0..step).for_each(|_| tick());
            is_found = self.calls.load(SeqCst) != 0;
            idle = if is_found { 0 } else { idle + step };
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
        let call = ticker.hold(Duration::from_secs(1));
        for _ in 0..3 * LINGER {
            ticked.recv().unwrap();
        }
        drop(call);
        while !ticker.shared.parked.load(SeqCst) {
            let _ = ticked.try_recv();
            thread::yield_now();
        }
        let _call = ticker.hold(Duration::from_secs(1));
        ticked.recv().unwrap();
        drop(ticked);
    }

    #[test]
    fn it_sleeps_for_a_tenth_of_the_shortest_deadline_and_no_longer_than_ten_ticks() {
        let shared = Shared::new();
        for (deadline, step) in [(3_600_000, 10), (100, 10), (59, 5), (1_000, 5), (5, 1), (0, 1)] {
            shared.shorten_step(Duration::from_millis(deadline));
            assert_eq!(shared.step.load(Relaxed), step, "after a call of {deadline} ms");
        }
    }

    #[test]
    fn time_is_never_shortened_by_counting_it_in_ticks() {
        assert_eq!(EpochTicker::ticks(Duration::from_millis(50)), 50);
        assert_eq!(EpochTicker::ticks(Duration::from_micros(1_200)), 2);
        assert!(EpochTicker::ticks(Duration::MAX) > u64::MAX / 4);
    }
}
