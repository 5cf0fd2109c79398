//! One connection through the proxy, on a thread of its own.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use super::LOOK;
use super::fault::{Direction, Fault};
use super::pipe::{Pipe, Turn};
use super::state::Shared;
use crate::eventually::SOON;

pub struct Line {
    client: TcpStream,
    shared: Arc<Shared>,
}

// === impl Line ===

impl Line {
    pub fn new(client: TcpStream, shared: Arc<Shared>) -> Self {
        Self { client, shared }
    }

    /// Until one side closes, the fault ends it, or the proxy is gone.
    pub fn run(self) {
        if self.fault() == Some(Fault::Blackhole) {
            return self.swallow();
        }
        match TcpStream::connect_timeout(&self.shared.server, SOON) {
            Ok(server) => self.relay(&server),
            Err(_) => reset(&self.client),
        }
    }

    fn relay(&self, server: &TcpStream) {
        for socket in [&self.client, server] {
            let ready = socket.set_nonblocking(true).and_then(|()| socket.set_nodelay(true));
            ready.expect("options of an open socket");
        }
        let (mut up, mut down) = (Pipe::new(Direction::Up), Pipe::new(Direction::Down));
        while !(up.is_over() && down.is_over()) {
            let turn = match self.fault() {
                None | Some(Fault::Reset | Fault::Refuse) => Ok(Turn::Cut),
                Some(Fault::Blackhole) => return self.swallow(),
                Some(Fault::HalfOpen) => Ok(Turn::Idle),
                Some(fault) => up.turn(&self.client, server, fault, &self.shared).and_then(|upward| {
                    if upward == Turn::Cut {
                        return Ok(Turn::Cut);
                    }
                    let downward = down.turn(server, &self.client, fault, &self.shared)?;
                    Ok(if downward == Turn::Idle { upward } else { downward })
                }),
            };
            match turn {
                Ok(Turn::Busy) => {}
                Ok(Turn::Idle) => thread::sleep(LOOK),
                // Whoever of the two has reset the line: the other one hears of it.
                Ok(Turn::Cut) | Err(_) => {
                    reset(server);
                    return reset(&self.client);
                }
            }
        }
    }

    /// What the client says is heard by nobody. It is left alone until it leaves.
    fn swallow(&self) {
        let _ = self.client.set_nonblocking(true);
        let mut bytes = [0; 4096];
        while self.fault().is_some() {
            match (&self.client).read(&mut bytes) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(LOOK),
                Err(_) => return,
            }
        }
    }

    /// `None` when the proxy is gone.
    fn fault(&self) -> Option<Fault> {
        let state = self.shared.state();
        (!state.stopped).then_some(state.fault)
    }
}

/// The close that follows is an RST. std cannot ask for it.
fn reset(socket: &TcpStream) {
    let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
}
