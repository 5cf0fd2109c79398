//! Threads on which plugins are started and compiled, where that may take long.
//!
//! A start is code of the plugin that nobody waits for but its own binding: on the threads of the chains, a dozen of plugins that need
//! seconds for it would stop every binding. So the first starts run here, side by side, and so do restarts of plugins that were slow to
//! start before (`stage`). As many threads as cores, which the kernel runs after all others.

use std::sync::Arc;
use std::time::Instant;
use std::{io, thread};

use super::run_queue::{Pool, RunQueue};
use super::workers::{NICE, STACK_BYTES};

type Work = Box<dyn FnOnce() + Send>;

/// Cheap to clone.
#[derive(Clone)]
pub struct Starter(Arc<RunQueue<Work>>);

/// The threads. Dropped, they end after what they are at.
pub struct StarterThreads(Starter);

/// Components that are compiled at the same time: each compiler may have `engine.limits.compile_memory`, which small machines have once. What
/// fails and is tried again goes to the end of the queue.
const COMPILERS: usize = 1;

// === impl StarterThreads ===

impl StarterThreads {
    pub fn spawn() -> io::Result<Self> {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        // Linux has it for each thread. Where it is not allowed, the threads are few all the same.
        Self::spawn_with("plugin-start", threads, || {
            let _ = rustix::process::nice(NICE);
        })
    }

    /// For compiling. Not niced, because compilers are processes that inherit it (`plugin/compile/child`).
    pub fn spawn_compilers() -> io::Result<Self> {
        Self::spawn_with("plugin-compile", COMPILERS, || {})
    }

    fn spawn_with(name: &str, threads: usize, prepare: fn()) -> io::Result<Self> {
        let starter = Starter(Arc::new(RunQueue::new(threads)));
        let all = Self(starter.clone());
        for number in 0..threads {
            let queue = Arc::clone(&starter.0);
            let builder = thread::Builder::new().name(format!("{name}-{number}")).stack_size(STACK_BYTES);
            builder.spawn(move || {
                prepare();
                work(&queue);
            })?;
        }
        Ok(all)
    }

    pub fn handle(&self) -> Starter {
        self.0.clone()
    }
}

impl Drop for StarterThreads {
    fn drop(&mut self) {
        self.0.0.stop();
    }
}

// === impl Starter ===

impl Starter {
    /// When it is due. Not at all when the gateway stops before.
    pub fn run(&self, due: Instant, work: impl FnOnce() + Send + 'static) {
        self.0.push_at(Box::new(work), Pool::Slow, due);
    }
}

fn work(queue: &RunQueue<Work>) {
    while let Some(work) = queue.next(Pool::Slow) {
        work();
    }
    queue.end_thread();
}
