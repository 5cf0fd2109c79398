//! Many seeds on all cores, and a look at those that do not come to an end.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::coverage::{self, Happened};
use super::plan::{Hazard, Plan};
use super::story::{self, Lines};
use super::world::{Report, run};
use crate::base::fault::{Fault, put_back};

/// No run takes as long, on any machine and beside any others: one that does is a loop in which no time passes.
const HANGS_AFTER: Duration = Duration::from_secs(120);

/// What many runs came to.
#[derive(Default)]
pub struct Sum {
    pub seeds: u64,
    pub obligations: usize,
    pub happened: Happened,
    /// Of their own time.
    pub took: Duration,
    /// Of ours.
    pub lasted: Duration,
    /// The lowest seed that failed.
    pub failed: Option<(u64, Report)>,
}

/// What a thread is at.
struct Worker {
    lines: Lines,
    seed: u64,
    since: Instant,
}

/// Up to the first that fails, with a fault put back or without. On all cores.
pub fn examine(seeds: Range<u64>, hazards: &[Hazard], fault: Option<Fault>) -> Sum {
    let (begun, next, sum) = (Instant::now(), AtomicU64::new(seeds.start), Mutex::new(Sum::default()));
    let (workers, is_over) = (Mutex::new(Vec::<Worker>::new()), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let threads: Vec<_> = (0..cores as u64)
            .map(|_| {
                scope.spawn(|| {
                    put_back(fault);
                    let place = enrol(&workers);
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        let is_needless = lock(&sum).failed.as_ref().is_some_and(|(failed, _)| *failed < seed);
                        if seed >= seeds.end || is_needless {
                            break;
                        }
                        begin(&workers, place, seed);
                        let report = run(&Plan::new(seed, hazards));
                        lock(&sum).add(seed, report);
                    }
                    // Whoever has no more to do hangs no more.
                    begin(&workers, place, u64::MAX);
                })
            })
            .collect();
        scope.spawn(|| watch(&workers, &is_over));
        for thread in threads {
            let _ = thread.join();
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    Sum { lasted: begun.elapsed(), ..sum }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn enrol(workers: &Mutex<Vec<Worker>>) -> usize {
    let mut workers = lock(workers);
    workers.push(Worker { lines: story::lines(), seed: u64::MAX, since: Instant::now() });
    workers.len() - 1
}

fn begin(workers: &Mutex<Vec<Worker>>, place: usize, seed: u64) {
    let mut workers = lock(workers);
    (workers[place].seed, workers[place].since) = (seed, Instant::now());
}

/// Ends the process with the story of a run that hangs: nothing else can be done with its thread.
fn watch(workers: &Mutex<Vec<Worker>>, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(20));
        for worker in lock(workers).iter().filter(|worker| worker.seed < u64::MAX) {
            if worker.since.elapsed() > HANGS_AFTER {
                let story = lock(&worker.lines).join("\n");
                let text = format!("{story}\n\nseed {} does not come to an end: no time passes in it\n", worker.seed);
                // Not by `eprintln!`, which the test harness would keep to itself.
                let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
                std::process::exit(101);
            }
        }
    }
}

// === impl Sum ===

impl Sum {
    fn add(&mut self, seed: u64, report: Report) {
        self.seeds += 1;
        self.obligations += report.obligations;
        self.took += report.took;
        coverage::add(&mut self.happened, &report.happened);
        let is_lower = self.failed.as_ref().is_none_or(|(failed, _)| seed < *failed);
        if !report.faults.is_empty() && is_lower {
            self.failed = Some((seed, report));
        }
    }
}
