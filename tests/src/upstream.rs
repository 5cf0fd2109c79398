//! An upstream that never fails, so that every fault seen there is the gateway's: it keeps sessions, obeys QoS 2 to the letter, and
//! remembers all that arrived in the order it came.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::eventually::{SOON, eventually};
use crate::oracle::{Expected, Oracle, Seen};
use crate::wire::{
    self, CONNACK, DISCONNECT, PINGREQ, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, Packet, UNSUBACK, UNSUBSCRIBE,
    Version, connect::Greeting,
};

pub struct Upstream {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    away: bool,
    sessions: HashMap<String, Session>,
    seen: Vec<Seen>,
    ids: HashSet<String>,
}

#[derive(Default)]
struct Session {
    /// Of its connections: what an older one still has to say is not heard.
    connection: u64,
    /// QoS 2 between PUBLISH and PUBREL.
    received: BTreeSet<u16>,
}

/// One connection.
struct Served {
    state: Arc<Mutex<State>>,
    client: String,
    number: u64,
    version: Version,
}

// === impl Upstream ===

impl Upstream {
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("a port of its own");
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::downgrade(&state);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let Some(state) = shared.upgrade() else { return };
                thread::spawn(move || serve(stream, state));
            }
        });
        Self { address, state }
    }

    /// The part of a gateway's configuration that names this one.
    pub fn config(&self, protocol: u8) -> String {
        format!("[upstreams.cloud]\nurl = \"mqtt://{}\"\nprotocol = {protocol}\n", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Nobody is served until it is back. Its sessions stay.
    pub fn set_away(&self, away: bool) {
        self.lock().away = away;
    }

    /// Different messages that have arrived.
    pub fn count(&self) -> usize {
        self.lock().ids.len()
    }

    /// Waits until all that the oracle is owed has arrived, or nothing new comes any more; then everything.
    pub fn settle(&self, oracle: &Oracle) -> Vec<Seen> {
        let mut last = (0, std::time::Instant::now());
        eventually("what was acknowledged arrives, or nothing does", 4 * SOON, || {
            let state = self.lock();
            if state.seen.len() != last.0 {
                last = (state.seen.len(), std::time::Instant::now());
            }
            let complete = state.ids.len() >= oracle.obligations() && oracle.owed().all(|id| state.ids.contains(id));
            (complete || last.1.elapsed() > QUIET).then_some(())
        });
        self.seen()
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.lock().seen.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// After so long without an arrival, what is missing is lost. Longer than any backoff of the gateway's.
const QUIET: std::time::Duration = std::time::Duration::from_secs(10);

impl Drop for Upstream {
    fn drop(&mut self) {
        // Ends the listener; its connections end with their peers.
        self.state = Arc::default();
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let _ = stream.set_nodelay(true);
    let mut packets = Packets { stream: stream.try_clone().expect("a second handle"), buffer: Vec::new() };
    let Some(connect) = packets.next().as_ref().and_then(Greeting::read) else { return };
    if state.lock().unwrap_or_else(PoisonError::into_inner).away {
        return;
    }
    let (served, present) = Served::new(state, connect.client_id, connect.version, connect.clean);
    let mut connack = vec![u8::from(present), 0];
    connack.extend((connect.version == Version::V5).then_some(0));
    if stream.write_all(&wire::packet(CONNACK << 4, &connack)).is_err() {
        return;
    }
    while let Some(packet) = packets.next() {
        let Some(answer) = served.answer(&packet) else { return };
        if stream.write_all(&answer).is_err() {
            return;
        }
    }
}

struct Packets {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Packets {
    fn next(&mut self) -> Option<Packet> {
        use std::io::Read;
        let mut chunk = [0; 16 << 10];
        loop {
            if let Some(packet) = Packet::take(&mut self.buffer) {
                return Some(packet);
            }
            let read = self.stream.read(&mut chunk).ok().filter(|read| *read > 0)?;
            self.buffer.extend(chunk.get(..read)?);
        }
    }
}

// === impl Served ===

impl Served {
    /// Takes the session over; says whether there was one.
    fn new(state: Arc<Mutex<State>>, client: String, version: Version, clean: bool) -> (Self, bool) {
        let mut sessions = state.lock().unwrap_or_else(PoisonError::into_inner);
        let present = sessions.sessions.contains_key(&client) && !clean;
        let session = sessions.sessions.entry(client.clone()).or_default();
        session.connection += 1;
        if clean {
            session.received.clear();
        }
        let number = session.connection;
        drop(sessions);
        (Self { state, client, number, version }, present)
    }

    /// `None` ends the connection.
    fn answer(&self, packet: &Packet) -> Option<Vec<u8>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { away, sessions, seen, ids } = &mut *state;
        if *away {
            return None;
        }
        let session = sessions.get_mut(&self.client).filter(|session| session.connection == self.number)?;
        match packet.kind() {
            PUBLISH => {
                let message = packet.delivered(self.version);
                let is_new = message.qos < 2 || session.received.insert(message.packet_id);
                if is_new {
                    let (topic, qos, payload) = (message.topic, message.qos, message.payload);
                    let id = id_of(&payload);
                    ids.insert(id.clone());
                    seen.push(Seen { id, message: Expected { topic, qos, payload } });
                }
                Some(match message.qos {
                    0 => Vec::new(),
                    1 => wire::ack(PUBACK, message.packet_id),
                    _ => wire::ack(PUBREC, message.packet_id),
                })
            }
            PUBREL => {
                session.received.remove(&packet.packet_id());
                Some(wire::ack(PUBCOMP, packet.packet_id()))
            }
            // A bridge makes sure that it is not subscribed to what it sends.
            UNSUBSCRIBE => Some(wire::packet(UNSUBACK << 4, &packet.packet_id().to_be_bytes())),
            PINGREQ => Some(wire::packet(wire::PINGRESP << 4, &[])),
            DISCONNECT => None,
            other => panic!("the gateway does not send packets of type {other} to an upstream"),
        }
    }
}

/// Of `{"id":"…",…}`, as the devices of these tests write it.
fn id_of(payload: &str) -> String {
    let id = payload.split_once("\"id\":\"").and_then(|(_, rest)| rest.split_once('"'));
    id.map_or_else(String::new, |(id, _)| id.to_owned())
}
