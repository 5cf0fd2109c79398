//! The networks: devices find the process that runs, if one does, and the process finds its upstreams.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::BytesMut;
use tokio::io::DuplexStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::broker::Broker;
use super::dice::Dice;
use super::frames::in_frames;
use crate::egress::{Dial, Endpoint, Transport};
use crate::ingress::connection::{self, Context};
use crate::ingress::peer::Peer;
use crate::ingress::websocket::WebSocket;

/// Of so many connections, one is a WebSocket.
const FRAMED: u64 = 4;

/// Where devices connect to.
#[derive(Clone)]
pub struct Gate(Arc<Mutex<State>>);

struct State {
    open: Option<Open>,
    dice: Dice,
    /// Which connections are WebSockets.
    frames: Dice,
    least_pipe: usize,
}

/// A process that lets devices in.
struct Open {
    context: Arc<Context>,
    stop: CancellationToken,
    connections: JoinSet<()>,
}

/// How the process finds its upstreams.
pub struct Roads(pub Vec<Broker>);

// === impl Gate ===

impl Gate {
    pub fn new(seed: u64, least_pipe: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            open: None,
            dice: Dice::new(seed, "gate"),
            frames: Dice::new(seed, "frames"),
            least_pipe,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub fn open(&self, context: Arc<Context>, stop: CancellationToken) {
        self.state().open = Some(Open { context, stop, connections: JoinSet::new() });
    }

    /// Nobody is let in any more; who is inside is still served.
    pub fn close(&self) -> JoinSet<()> {
        self.state().open.take().map(|open| open.connections).unwrap_or_default()
    }

    pub fn connect(&self) -> Option<DuplexStream> {
        let mut state = self.state();
        let State { open, dice, frames, least_pipe } = &mut *state;
        let capacity = (*dice.pick(&[64, 1_000, 16_000, 64_000])).max(*least_pipe);
        let open = open.as_mut()?;
        let (near, far) = tokio::io::duplex(capacity);
        let (context, stop) = (open.context.clone(), open.stop.clone());
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let peer = Peer::accepted(address, "devices".into(), open.context.limits.handshake_timeout);
        if !frames.one_in(FRAMED) {
            let (reader, writer) = tokio::io::split(far);
            open.connections.spawn(connection::serve(reader, writer, peer, context, stop.into()));
            return Some(near);
        }
        let socket = WebSocket::new(far, BytesMut::new());
        open.connections.spawn(async move {
            let (reader, writer) = socket.halves();
            connection::serve(reader, writer, peer, context, stop.into()).await;
            assert_eq!(socket.fault(), None, "no device of the simulation breaks the framing");
            socket.finish().await;
        });
        Some(in_frames(near, capacity, Dice::new(frames.next(), "of one connection")))
    }

    /// The words of a panic in a connection.
    pub fn panicked(&self) -> Option<String> {
        let mut state = self.state();
        let connections = &mut state.open.as_mut()?.connections;
        while let Some(ended) = connections.try_join_next() {
            if let Err(error) = ended
                && error.is_panic()
            {
                return Some(format!("{error}"));
            }
        }
        None
    }
}

// === impl Roads ===

impl Dial for Roads {
    async fn dial(&self, endpoint: &Endpoint) -> io::Result<Transport> {
        let broker = self.0.iter().find(|broker| broker.host == endpoint.host());
        let stream = broker.and_then(Broker::dial).ok_or(io::ErrorKind::ConnectionRefused)?;
        Ok(Box::new(stream))
    }
}
