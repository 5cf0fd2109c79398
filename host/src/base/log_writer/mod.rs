//! The log's way out of the process: a bounded queue, and a thread that writes it. Whoever does not read our log stops nobody.
//!
//! - A line that finds no room is lost and counted, and so is one whose write fails. The count is in `tidegate status`, and is
//!   said in the log as soon as lines go out again.
//! - The thread has a descriptor of its own: behind the lock of [`std::io::Stderr`] everybody would wait for its write.
//! - Nobody waits for the thread but [`LogWriter::flush`], which has a deadline: the process ends, whether it writes or not.
//!
//! Not `tracing-appender` (0.2.5): it bounds lines and not bytes, does not count the writes that fail, and its guard prints
//! to stdout, which may be closed, when its thread hangs in a write, which is the case that this is for.

mod out;
mod queue;

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use self::out::Out;
use self::queue::Queue;
use super::journal::JournalSocket;

/// The process's own, when it has one.
static LOG: OnceLock<LogWriter> = OnceLock::new();
/// The way to the journal, where that has the log instead.
static JOURNAL: OnceLock<LogWriter> = OnceLock::new();

/// A writer of lines that never waits. Each `write` is one line, or several that belong together.
#[derive(Clone)]
pub struct LogWriter(Arc<Shared>);

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// There is something to write.
    work: Condvar,
    /// All is written.
    idle: Condvar,
}

/// Lines that the process's log has lost since the start.
pub fn lost() -> u64 {
    [&LOG, &JOURNAL].iter().filter_map(|log| log.get()).map(LogWriter::lost).sum()
}

/// For a text that is not an event: behind the lines of the log where there is a queue, and to stderr at once where there is none.
/// Unlike `eprintln!`, it does not panic when nobody listens.
pub fn say(text: &str) {
    let text = format!("{text}\n");
    let _ = match LOG.get() {
        Some(log) => log.clone().write_all(text.as_bytes()),
        None => io::stderr().write_all(text.as_bytes()),
    };
}

/// Waits until all that was said is written, but no longer than this. Whether it is.
pub fn flush(patience: Duration) -> bool {
    [&JOURNAL, &LOG].iter().filter_map(|log| log.get()).all(|log| log.flush(patience))
}

// === impl LogWriter ===

impl LogWriter {
    /// The process's log, on stderr. The same one when it is there already.
    pub fn of_process() -> io::Result<Self> {
        if let Some(log) = LOG.get() {
            return Ok(log.clone());
        }
        let log = Self::start(stderr()?, tell_lost)?;
        Ok(LOG.get_or_init(|| log).clone())
    }

    /// The same to the journal, for datagrams. What is no event still goes to stderr ([`say`]), which systemd reads as well.
    pub fn of_journal(socket: JournalSocket) -> io::Result<Self> {
        let log = Self::start(socket, tell_lost)?;
        Ok(JOURNAL.get_or_init(|| log).clone())
    }

    /// `tell` is called when lines go out again after so many were lost, with the count of all that ever were.
    pub fn start(writer: impl Write + Send + 'static, tell: impl Fn(u64, u64) + Send + 'static) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let (owned, out) = (shared.clone(), Out::new(writer));
        std::thread::Builder::new().name("log".into()).spawn(move || owned.run(out, tell))?;
        Ok(Self(shared))
    }

    pub fn lost(&self) -> u64 {
        self.0.queue().lost()
    }

    pub fn flush(&self, patience: Duration) -> bool {
        let is_busy = |queue: &mut Queue| queue.is_busy();
        let waited = self.0.idle.wait_timeout_while(self.0.queue(), patience, is_busy);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

/// Never fails: what is lost is counted.
impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.queue().push(line);
        self.0.work.notify_one();
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn tell_lost(lines: u64, in_all: u64) {
    tracing::warn!(lines, in_all, "lines of the log were lost: nobody read them, or they could not be written");
}

fn stderr() -> io::Result<File> {
    io::stderr().as_fd().try_clone_to_owned().map(File::from)
}

// === impl Shared ===

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, mut out: Out<impl Write>, tell: impl Fn(u64, u64)) {
        loop {
            let line = self.next();
            match out.write_line(&line) {
                // Not after a failure: what is told then would be lost as well, and told again.
                Ok(()) => {
                    let untold = self.queue().take_untold();
                    untold.into_iter().for_each(|(lines, in_all)| tell(lines, in_all));
                }
                Err(_) => self.queue().lose(),
            }
        }
    }

    fn next(&self) -> Vec<u8> {
        let mut queue = self.queue();
        queue.written();
        loop {
            if let Some(line) = queue.pop() {
                return line;
            }
            self.idle.notify_all();
            queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests;
