//! An upstream that a test has in its hand: a small MQTT server, correct in both versions, which writes down what arrived.
//!
//! Where mosquitto is the judge of whether others understand us, this one is for what mosquitto will not do on request:
//! forget sessions, hold acks back, be killed without losing its own data. It takes messages and delivers none.
//!
//! - QoS 2 by method A (MQTT 5, section 4.3.3): a message arrives with its first PUBLISH, and its packet id is kept, per
//!   client, until PUBREL. So whatever arrives twice here was sent as new twice.
//! - A second connection of a client takes the first over, and that is counted ([`Upstream::takeovers`]).

mod connection;
mod session;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use self::session::State;
pub use self::session::Stumble;
use crate::eventually::{eventually, soon};
use crate::oracle::{Expected, Oracle, Seen};
use crate::wire::Delivered;

/// After so long without an arrival, what is missing is lost. Longer than any backoff of a gateway that can reach it; where a loss
/// is what is to be seen, it is the time that takes.
const QUIET: Duration = Duration::from_secs(30);

pub struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    stopped: AtomicBool,
    state: Mutex<State>,
}

// === impl Upstream ===

impl Upstream {
    /// Keeps the sessions of its clients.
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of the loopback interface");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared { stopped: AtomicBool::new(false), state: Mutex::default() });
        let owned = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                if owned.stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(stream), shared) = (stream, owned.clone()) else { continue };
                thread::spawn(move || connection::serve(stream, &shared));
            }
        });
        Self { address, shared }
    }

    /// Forgets each session with its connection.
    pub fn forgetful() -> Self {
        let upstream = Self::start();
        upstream.shared.state().forgets = true;
        upstream
    }

    /// Takes this QoS at most, as it says in CONNACK. MQTT 5.
    pub fn taking_qos(maximum: u8) -> Self {
        let upstream = Self::start();
        upstream.shared.state().maximum_qos = Some(maximum);
        upstream
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The part of a gateway's configuration that names this one.
    pub fn config(&self, protocol: u8) -> String {
        format!("[upstreams.cloud]\nurl = \"mqtt://{}\"\nprotocol = {protocol}\n", self.address)
    }

    /// Nobody is served until it is back. Its sessions stay.
    pub fn set_away(&self, away: bool) {
        let mut state = self.shared.state();
        state.away = away;
        if away {
            state.disconnect_all();
        }
    }

    /// Waits until all that the oracle is owed has arrived, or nothing comes any more: what is missing then is lost.
    pub fn settle(&self, oracle: &Oracle) {
        let (mut missing, mut looked): (BTreeSet<&str>, usize) = (oracle.owed().collect(), 0);
        let mut last = Instant::now();
        eventually("what was acknowledged arrives, or nothing does", 10 * QUIET, || {
            let new: Vec<Delivered> = self.shared.state().arrivals.iter().skip(looked).cloned().collect();
            if !new.is_empty() {
                (looked, last) = (looked + new.len(), Instant::now());
            }
            for arrived in new.into_iter().map(seen) {
                missing.remove(arrived.id.as_str());
            }
            (missing.is_empty() || last.elapsed() > QUIET).then_some(())
        });
    }

    /// Takes what comes and keeps every ack back, until told otherwise. Pings are answered.
    pub fn hold_acks(&self, hold: bool) {
        self.shared.state().hold(hold);
    }

    /// Answers what is published on topics with this in them by a failure reason, and does not take it. MQTT 5.
    pub fn refuse(&self, topic: &str, reason: u8) {
        self.shared.state().refuses = Some((topic.to_owned(), reason));
    }

    /// Ends the connection with these bytes on what is published on topics with this in them.
    pub fn end_on(&self, topic: &str, last_words: &[u8]) {
        self.shared.state().ends = Some((topic.to_owned(), last_words.to_vec()));
    }

    /// Takes QoS 2 messages on topics with this in them, and fails at their PUBREL.
    pub fn stumble_on(&self, topic: &str, how: Stumble) {
        self.shared.state().stumbles = Some((topic.to_owned(), how));
    }

    /// Answers QoS 2 with PUBACK, as servers do that know no QoS 2, and QoS 1 with PUBREC.
    pub fn mix_acks(&self) {
        self.shared.state().mixes_acks = true;
    }

    /// No longer.
    pub fn take_all(&self) {
        self.shared.state().refuses = None;
    }

    /// Everything in the order of arrival, repetitions too.
    pub fn arrivals(&self) -> Vec<Delivered> {
        self.shared.state().arrivals.clone()
    }

    pub fn count(&self) -> usize {
        self.shared.state().arrivals.len()
    }

    pub fn wait_for(&self, count: usize) {
        soon(&format!("{count} messages at the upstream"), || self.count() >= count);
    }

    /// What the oracle wants to see.
    pub fn seen(&self) -> Vec<Seen> {
        self.arrivals().into_iter().map(seen).collect()
    }

    /// Clients that are connected now.
    pub fn clients(&self) -> Vec<String> {
        self.shared.state().connected()
    }

    /// How many times CONNECT was accepted from this client.
    pub fn connects(&self, client_id: &str) -> usize {
        self.shared.state().connects.get(client_id).copied().unwrap_or(0)
    }

    /// How many times a client connected that was connected already.
    pub fn takeovers(&self) -> usize {
        self.shared.state().takeovers
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        self.shared.state().disconnect_all();
        // The listener waits for one more.
        let _ = std::net::TcpStream::connect(self.address);
    }
}

/// By the `id` field of its JSON.
fn seen(delivered: Delivered) -> Seen {
    let json: serde_json::Value = serde_json::from_str(&delivered.payload).unwrap_or_default();
    let id = json["id"].as_str().unwrap_or_default().to_owned();
    Seen { id, message: Expected { topic: delivered.topic, qos: delivered.qos, payload: delivered.payload } }
}

// === impl Shared ===

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
