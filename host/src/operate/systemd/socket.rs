//! The socket of a supervisor: each message is a datagram of its own.
//!
//! Ours and not a crate's: it is a dozen lines of std without `unsafe`, and the crates (`sd-notify`, `libsystemd`) send with a socket that
//! blocks: a supervisor that stands still would stop whoever tells it something.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{self, SocketAddr};
use std::time::Duration;

use tokio::net::UnixDatagram;

/// How long a supervisor may take to make room for a datagram. A stop has seconds in all.
const PATIENCE: Duration = Duration::from_millis(500);

#[derive(Clone, Debug)]
pub struct NotifySocket(SocketAddr);

// === impl NotifySocket ===

impl NotifySocket {
    /// A path, or a name that begins with `@` and is in no file system.
    pub fn at(address: &OsStr) -> io::Result<Self> {
        match address.as_bytes() {
            [b'/', ..] => SocketAddr::from_pathname(address).map(Self),
            [b'@', name @ ..] if !name.is_empty() => SocketAddr::from_abstract_name(name).map(Self),
            _ => {
                Err(io::Error::new(ErrorKind::InvalidInput, "neither an absolute path nor a name that begins with `@`"))
            }
        }
    }

    /// What cannot be told is a line in the log.
    pub async fn tell(&self, state: &str) {
        let sent = tokio::time::timeout(PATIENCE, self.send(state)).await;
        if let Err(error) = sent.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into())) {
            let state = state.lines().next().unwrap_or_default();
            tracing::warn!("the supervisor cannot be told {state}: {error}");
        }
    }

    /// A socket each time: a supervisor that was replaced listens at the same address on another one.
    async fn send(&self, state: &str) -> io::Result<()> {
        let socket = net::UnixDatagram::unbound()?;
        socket.connect_addr(&self.0)?;
        socket.set_nonblocking(true)?;
        UnixDatagram::from_std(socket)?.send(state.as_bytes()).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn tells(listens: &net::UnixDatagram, address: &OsStr) -> String {
        NotifySocket::at(address).unwrap().tell("READY=1").await;
        let mut buffer = [0; 64];
        let read = listens.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..read]).into_owned()
    }

    #[tokio::test]
    async fn a_supervisor_hears_it_at_a_path_and_at_an_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let listens = net::UnixDatagram::bind(&path).unwrap();
        assert_eq!(tells(&listens, path.as_os_str()).await, "READY=1");

        let name = format!("tidegate-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listens = net::UnixDatagram::bind_addr(&address).unwrap();
        assert_eq!(tells(&listens, OsStr::new(&format!("@{name}"))).await, "READY=1");
    }

    #[tokio::test]
    async fn a_supervisor_that_does_not_read_is_waited_for_only_so_long() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let _silent = net::UnixDatagram::bind(&path).unwrap();
        let socket = NotifySocket::at(path.as_os_str()).unwrap();
        // The queue of a datagram socket has a bound, of some dozens to hundreds.
        let mut was_full = false;
        for _ in 0..10_000 {
            was_full = tokio::time::timeout(Duration::from_millis(50), socket.send("WATCHDOG=1")).await.is_err();
            if was_full {
                break;
            }
        }
        assert!(was_full, "a queue without a bound");
        socket.tell("STOPPING=1").await;
    }

    #[tokio::test]
    async fn a_supervisor_that_is_gone_is_no_fault_of_the_gateway() {
        NotifySocket::at(OsStr::new("/nowhere/notify")).unwrap().tell("READY=1").await;
    }
}
