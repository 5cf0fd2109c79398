//! What signals mean to a gateway that runs.
//!
//! | signal | what happens |
//! |---|---|
//! | SIGTERM, SIGINT | a stop in good order. A second one changes nothing: the stop has a deadline, and a signal that is sent to the whole group and passed on by a wrapper comes twice |
//! | SIGHUP | the configuration is read again, as by `tidegate reload`; during the start, when that is done. The end of a terminal does not end the gateway either |
//! | SIGUSR1, SIGUSR2 | a line in the log: they mean nothing |
//! | SIGXFSZ | nothing: the write that was too much for a limit on the size of files fails, and says so |
//! | SIGPIPE | nothing: Rust's runtime ignores it |
//! | SIGQUIT and others | as ever: the end, with a core where that is wanted |
//!
//! A thread of its own with a runtime of its own hears them, so that a gateway whose threads all hang still ends: [`STOPPED_BY`]
//! after the signal, by force.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{LAST_LINES, log_writer};
use crate::operate::Reloads;

/// The stop itself takes at most 7 s, the rest of the runtime and the last lines a second: `docker stop` kills after 10 s.
const STOPPED_BY: Duration = Duration::from_secs(9);

/// A start that is asked to stop, and does not come to its end by then, is left in its middle: nothing was accepted yet.
const STARTED_BY: Duration = Duration::from_secs(2);

/// What the process has been told.
#[derive(Clone)]
pub struct Signals {
    stop: CancellationToken,
    is_running: Arc<AtomicBool>,
    /// Several that come while one is carried out are one.
    reload: Arc<Notify>,
}

/// All that is heard.
struct Sources {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    user1: Signal,
    user2: Signal,
    file_size: Signal,
}

enum Heard {
    Stop(&'static str),
    HangUp,
    Other(&'static str),
    Deadline,
}

// === impl Signals ===

impl Signals {
    /// From now on, nothing that is in the table above ends the process.
    pub fn listen() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut sources = {
            let _inside = runtime.enter();
            Sources::open()?
        };
        let signals = Self { stop: CancellationToken::new(), is_running: Arc::default(), reload: Arc::default() };
        let owned = signals.clone();
        let run = move || runtime.block_on(owned.run(&mut sources));
        std::thread::Builder::new().name("signals".into()).spawn(run)?;
        Ok(signals)
    }

    /// Until the gateway is to stop.
    pub async fn stop(&self) {
        self.stop.cancelled().await;
    }

    /// Asks for a reload after each SIGHUP, until the gateway is to stop. The log has what became of it.
    pub async fn reload(self, reloads: Reloads) {
        while self.stop.run_until_cancelled(self.reload.notified()).await.is_some() {
            if let Err(error) = reloads.ask(false).await {
                tracing::warn!("SIGHUP: {error}");
            }
        }
    }

    /// The start has come to its end.
    pub fn running(&self) {
        self.is_running.store(true, Ordering::Relaxed);
    }

    async fn run(self, sources: &mut Sources) {
        let (mut deadline, mut was_running) = (None, false);
        loop {
            match sources.next(deadline).await {
                Heard::Stop(name) if deadline.is_some() => tracing::info!("{name}: stopping already"),
                Heard::Stop(name) => {
                    tracing::info!("{name}: stopping");
                    self.stop.cancel();
                    was_running = self.is_running.load(Ordering::Relaxed);
                    deadline = Some(Instant::now() + if was_running { STOPPED_BY } else { STARTED_BY });
                }
                Heard::HangUp => {
                    tracing::info!("SIGHUP: the configuration is read again");
                    self.reload.notify_one();
                }
                Heard::Other(said) => tracing::warn!("{said}"),
                Heard::Deadline => {
                    deadline = Some(self.late(was_running));
                    was_running = true;
                }
            }
        }
    }

    /// Ends the process, or gives a gateway that has come to run meanwhile the time for its stop.
    fn late(&self, was_running: bool) -> Instant {
        if was_running {
            tracing::error!("not stopped within {STOPPED_BY:?}: ended by force; what was acknowledged is on disk");
            end(1);
        }
        if !self.is_running.load(Ordering::Relaxed) {
            tracing::warn!("stopped in the middle of the start: nothing was accepted yet");
            end(0);
        }
        // It was nearly there, and is stopping now.
        Instant::now() + STOPPED_BY
    }
}

fn end(code: i32) -> ! {
    log_writer::flush(LAST_LINES);
    std::process::exit(code)
}

// === impl Sources ===

impl Sources {
    /// In the runtime that will hear them.
    fn open() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
            file_size: signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?,
        })
    }

    async fn next(&mut self, deadline: Option<Instant>) -> Heard {
        let late = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => Heard::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Heard::Stop("SIGINT"),
            _ = self.hang_up.recv() => Heard::HangUp,
            _ = self.user1.recv() => Heard::Other("SIGUSR1 means nothing to a gateway"),
            _ = self.user2.recv() => Heard::Other("SIGUSR2 means nothing to a gateway"),
            _ = self.file_size.recv() => Heard::Other("SIGXFSZ: a file has reached the limit of this process on the size of files"),
            () = late => Heard::Deadline,
        }
    }
}
