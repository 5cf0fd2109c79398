//! What a supervisor has put into the environment of this process.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use super::socket::NotifySocket;

#[derive(Debug, Default)]
pub struct Environment {
    pub socket: Option<NotifySocket>,
    /// After so long without a sign of life the supervisor ends the process.
    pub watchdog: Option<Duration>,
    /// What is there and cannot be used. The gateway runs all the same: a supervisor that hears nothing says so by itself.
    pub doubts: Vec<String>,
}

// === impl Environment ===

impl Environment {
    pub fn read(get: impl Fn(&str) -> Option<OsString>, pid: u32) -> Self {
        let Some(address) = get("NOTIFY_SOCKET") else { return Self::default() };
        let mut read = Self::default();
        match NotifySocket::at(&address) {
            Ok(socket) => read.socket = Some(socket),
            Err(error) => {
                read.doubts.push(format!("`NOTIFY_SOCKET` {address:?}: {error}; the supervisor is told nothing"));
            }
        }
        // Meant for another process when a wrapper has left it behind.
        let is_ours = get("WATCHDOG_PID").is_none_or(|of| of.to_str() == Some(&pid.to_string()));
        if let Some(period) = get("WATCHDOG_USEC").filter(|_| is_ours) {
            read.watchdog = microseconds(&period);
            if read.watchdog.is_none() {
                read.doubts.push(format!("`WATCHDOG_USEC` {period:?} is not a number of microseconds; it is left out"));
            }
        }
        read
    }
}

fn microseconds(text: &OsStr) -> Option<Duration> {
    let period: u64 = text.to_str()?.parse().ok()?;
    (period > 0).then(|| Duration::from_micros(period))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(of: &[(&str, &str)]) -> Environment {
        let get = |name: &str| of.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value));
        Environment::read(get, 7)
    }

    #[test]
    fn a_gateway_that_was_started_by_hand_tells_nobody() {
        let read = read(&[("WATCHDOG_USEC", "1000000")]);
        assert!(read.socket.is_none() && read.watchdog.is_none() && read.doubts.is_empty());
    }

    #[test]
    fn a_watchdog_is_for_the_process_that_it_names() {
        let socket = ("NOTIFY_SOCKET", "/run/systemd/notify");
        let period = ("WATCHDOG_USEC", "60000000");
        let minute = Some(Duration::from_secs(60));
        assert_eq!(read(&[socket, period]).watchdog, minute);
        assert_eq!(read(&[socket, period, ("WATCHDOG_PID", "7")]).watchdog, minute);
        assert_eq!(read(&[socket, period, ("WATCHDOG_PID", "8")]).watchdog, None);
        assert_eq!(read(&[socket, period, ("WATCHDOG_PID", "")]).watchdog, None);
    }

    #[test]
    fn what_cannot_be_used_is_named_and_ends_nothing() {
        for address in ["", "notify", "vsock:2:1", "@", &"/".repeat(200)] {
            let read = read(&[("NOTIFY_SOCKET", address)]);
            assert!(read.socket.is_none() && read.doubts.len() == 1, "{address}: {read:?}");
        }
        for period in ["", "0", "-1", "1s", "99999999999999999999"] {
            let read = read(&[("NOTIFY_SOCKET", "@abstract"), ("WATCHDOG_USEC", period)]);
            assert!(read.socket.is_some() && read.watchdog.is_none() && read.doubts.len() == 1, "{period}: {read:?}");
        }
    }
}
