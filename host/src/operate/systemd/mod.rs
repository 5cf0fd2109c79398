//! What the gateway tells systemd, or another supervisor that speaks its protocol: `sd_notify(3)`.
//!
//! | told | when |
//! |---|---|
//! | `READY=1` | the spool is open, the listeners are bound, each binding's plugins have started or have been told why not |
//! | `WATCHDOG=1` | a third of `WATCHDOG_USEC` after the last one, when the async threads and the writer of the spool answer |
//! | `STOPPING=1` | a stop begins |
//! | `STATUS=…` | with the above, for `systemctl status` |
//!
//! A binding whose plugin does not start holds its messages and is tried again (decision 0041): waiting for it, `READY=1` might never come,
//! and systemd would end a gateway that serves all others. Nothing here happens without `NOTIFY_SOCKET`. See decision 0071.

mod environment;
mod ready;
mod socket;
mod watchdog;

use std::time::Duration;

use self::environment::Environment;
use self::socket::NotifySocket;
use crate::chain::Standing;

/// Whoever started this process and wants to hear of it; nobody, when it was started by hand.
#[derive(Clone, Debug, Default)]
pub struct Supervisor {
    socket: Option<NotifySocket>,
    watchdog: Option<Duration>,
}

// === impl Supervisor ===

impl Supervisor {
    pub fn of_environment() -> Self {
        let environment = Environment::read(|name| std::env::var_os(name), std::process::id());
        environment.doubts.iter().for_each(|doubt| tracing::warn!("{doubt}"));
        Self { socket: environment.socket, watchdog: environment.watchdog }
    }

    /// From the moment at which devices are served, until it is dropped. `heartbeat` asks what must not hang, each time anew.
    pub async fn attend<F: Future<Output = ()>>(self, standings: Vec<Standing>, heartbeat: impl Fn() -> F) {
        let Some(socket) = self.socket else { return };
        ready::wait(&standings, &socket).await;
        socket.tell("READY=1\nSTATUS=Serving devices").await;
        if let Some(period) = self.watchdog {
            watchdog::run(period, heartbeat, || socket.tell("WATCHDOG=1")).await;
        }
    }

    pub async fn stopping(&self) {
        if let Some(socket) = &self.socket {
            socket.tell("STOPPING=1\nSTATUS=Stopping").await;
        }
    }
}
