//! A network that fails on request: a TCP proxy between a client and a server.
//!
//! ```text
//!  client ──▶ Proxy ──▶ server        Direction::Up
//!         ◀──       ◀──               Direction::Down
//! ```
//!
//! ```no_run
//! use tidegate_tests::chaos::{Cut, Fault, Proxy};
//! use tidegate_tests::wire::PUBREC;
//! # let server = std::net::SocketAddr::from(([127, 0, 0, 1], 1883));
//! let proxy = Proxy::to(server); // clients connect to `proxy.address()`
//! proxy.set(Fault::Cut(Cut::before(PUBREC, 3))); // RST in place of the third PUBREC from now on
//! proxy.wait_for_cuts(1);
//! proxy.set(Fault::HalfOpen);
//! proxy.heal();
//! ```
//!
//! - **One fault at a time**, for all connections, those that are open and those that come. [`Proxy::heal`] ends it.
//! - **Each connection is one thread** that looks at both directions in turn: after a cut no byte passes in either, and an RST
//!   is sent by the only owner of the socket.
//! - **MQTT is only watched** ([`walker`]): the proxy knows where packets begin and end and counts them by kind, and passes
//!   bytes on as they come. What is not MQTT, TLS say, passes in the same way, and its counts mean nothing.
//! - Cuts fire once, count packets from the moment they are set, and count on through reconnects.
//!
//! netem would do some of this for real, but needs root and a kernel that has it, and cannot see a PUBREC.

mod fault;
mod line;
mod pipe;
mod state;
#[cfg(test)]
mod tests;
mod walker;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

pub use self::fault::{Cut, Direction, Fault};
use self::line::Line;
use self::state::Shared;
use crate::eventually::soon;
use crate::ports;

/// How often an idle thread looks again.
const LOOK: Duration = Duration::from_millis(1);

pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

// === impl Proxy ===

impl Proxy {
    /// Listens on a port that stays its own while it refuses connections: from [`ports`], not from the kernel.
    pub fn to(server: SocketAddr) -> Self {
        let listener = std::iter::repeat_with(|| TcpListener::bind((Ipv4Addr::LOCALHOST, ports::free())))
            .take(10)
            .find_map(Result::ok)
            .expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared::new(server));
        let owned = shared.clone();
        thread::spawn(move || listen(listener, address, &owned));
        Self { address, shared }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The part of a gateway's configuration that names what is behind this proxy.
    pub fn upstream(&self, name: &str, protocol: u8) -> String {
        format!("[upstreams.{name}]\nurl = \"mqtt://{}\"\nprotocol = {protocol}\n", self.address)
    }

    /// From now on, in place of the fault before. Returns when the listener is as the fault wants it.
    pub fn set(&self, fault: Fault) {
        let listens = fault != Fault::Refuse;
        self.shared.state().set(fault);
        soon("the proxy's listener follows", || self.shared.state().listening == listens);
    }

    pub fn heal(&self) {
        self.set(Fault::None);
    }

    /// How many cuts have been made.
    pub fn cuts(&self) -> usize {
        self.shared.state().cuts
    }

    pub fn wait_for_cuts(&self, count: usize) {
        soon(&format!("cut number {count}"), || self.cuts() >= count);
    }

    /// Packets of a kind that have passed whole in this direction, on all connections.
    pub fn passed(&self, direction: Direction, kind: u8) -> usize {
        self.shared.state().passed(direction, kind)
    }

    /// Connections that were accepted so far, and those that are open.
    pub fn connections(&self) -> (usize, usize) {
        let state = self.shared.state();
        (state.accepted, state.open)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.state().stopped = true;
    }
}

/// Accepts until the proxy is gone. While connections are refused there is no listener at all.
fn listen(first: TcpListener, address: SocketAddr, shared: &Arc<Shared>) {
    let mut listener = Some(first);
    loop {
        let (stopped, refuses) = {
            let state = shared.state();
            (state.stopped, state.fault == Fault::Refuse)
        };
        if stopped {
            return;
        }
        listener = match listener {
            _ if refuses => None,
            None => TcpListener::bind(address).ok(),
            open => open,
        };
        shared.state().listening = listener.is_some();
        if !listener.as_ref().is_some_and(|listener| accept(listener, shared)) {
            thread::sleep(LOOK);
        }
    }
}

/// One connection, if one waits.
fn accept(listener: &TcpListener, shared: &Arc<Shared>) -> bool {
    listener.set_nonblocking(true).expect("a socket can be made non-blocking");
    let Ok((client, _)) = listener.accept() else { return false };
    let shared = shared.clone();
    shared.state().opened();
    thread::spawn(move || {
        Line::new(client, shared.clone()).run();
        shared.state().open -= 1;
    });
    true
}
