//! An upstream that sends: a small MQTT server with one client, which is subscribed and keeps its session. Whatever happens to that client, each
//! message is sent until it is acknowledged.
//!
//! It knows each message that was acknowledged, and so was taken over: those are owed to whoever they are for.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::eventually::{SOON, soon};
use crate::oracle::Oracle;
use crate::raw::{Next, Raw};
use crate::stubborn::{Habits, Stubborn};
use crate::wire::{CONNECT, DISCONNECT, PING, PINGREQ, Packet, SUBSCRIBE, UNSUBSCRIBE, V5, Version, packet};

/// How long it listens before it looks for a new connection.
const LOOK: Duration = Duration::from_millis(2);

/// At once.
const BURST: usize = 5;

pub struct Commander {
    address: SocketAddr,
    version: Version,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    stopped: AtomicBool,
    /// Whether new messages are sent.
    sends: AtomicBool,
    /// The next connection finds no session.
    forgets: AtomicBool,
    subscribed: AtomicBool,
    /// Packets of SUBSCRIBE.
    subscribes: AtomicUsize,
    stubborn: Mutex<Stubborn>,
}

// === impl Commander ===

impl Commander {
    /// Sends as soon as somebody has subscribed.
    pub fn start(habits: Habits) -> Self {
        let version = habits.version;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of the loopback interface");
        listener.set_nonblocking(true).expect("a socket of our own");
        let address = listener.local_addr().expect("a bound socket has an address");
        let answer = if version == V5 { answer_v5 } else { answer_v4 };
        let shared = Arc::new(Shared {
            stopped: AtomicBool::new(false),
            sends: AtomicBool::new(true),
            forgets: AtomicBool::new(false),
            subscribed: AtomicBool::new(false),
            subscribes: AtomicUsize::new(0),
            stubborn: Mutex::new(Stubborn::new(habits).serving(answer)),
        });
        let owned = shared.clone();
        let thread = thread::spawn(move || owned.serve(&listener, version));
        Self { address, version, shared, thread: Some(thread) }
    }

    /// The part of a gateway's configuration that names this one. `subscribe` is its list.
    pub fn config(&self, name: &str, subscribe: &str) -> String {
        let protocol = if self.version == V5 { 5 } else { 4 };
        let url = format!("url = \"mqtt://{}\"\nprotocol = {protocol}", self.address);
        format!("[upstreams.{name}]\n{url}\nsubscribe = {subscribe}\n\n")
    }

    /// Waits until so many more are acknowledged.
    pub fn wait_for_more(&self, count: usize) {
        let wanted = self.shared.stubborn().obligations() + count;
        soon(&format!("{count} more messages of the upstream are acknowledged"), || {
            self.shared.stubborn().obligations() >= wanted
        });
    }

    /// Its client is cut off, and has no session when it comes back.
    pub fn forget(&self) {
        self.shared.forgets.store(true, Ordering::Relaxed);
        self.shared.stubborn().hang_up();
    }

    /// How often it was asked for something.
    pub fn subscribes(&self) -> usize {
        self.shared.subscribes.load(Ordering::Relaxed)
    }

    /// Nothing new, and everything that was sent is acknowledged. What is owed.
    pub fn finish(mut self) -> Oracle {
        self.shared.sends.store(false, Ordering::Relaxed);
        soon("everything that the upstream has sent is acknowledged", || self.shared.stubborn().is_idle());
        self.shared.stopped.store(true, Ordering::Relaxed);
        self.thread.take().expect("it runs").join().expect("it does not panic");
        let empty = Stubborn::new(Habits::nobody());
        std::mem::replace(&mut *self.shared.stubborn(), empty).into_oracle()
    }
}

impl Drop for Commander {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
    }
}

// === impl Shared ===

impl Shared {
    fn stubborn(&self) -> MutexGuard<'_, Stubborn> {
        self.stubborn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, listener: &TcpListener, version: Version) {
        while !self.stopped.load(Ordering::Relaxed) {
            match listener.accept() {
                Ok((stream, _)) => self.greet(stream, version),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
            }
            let mut stubborn = self.stubborn();
            if !stubborn.is_connected() {
                drop(stubborn);
                thread::sleep(LOOK);
                continue;
            }
            if stubborn.has_been_asked() {
                self.subscribed.store(true, Ordering::Relaxed);
                self.subscribes.fetch_add(1, Ordering::Relaxed);
            }
            if self.sends.load(Ordering::Relaxed) && self.subscribed.load(Ordering::Relaxed) {
                stubborn.send(BURST);
            }
            stubborn.listen(LOOK);
        }
    }

    /// Until CONNACK. Who goes before has no session.
    fn greet(&self, stream: TcpStream, version: Version) {
        let _ = stream.set_nonblocking(false);
        let _ = stream.set_nodelay(true);
        let mut raw = Raw::over(stream, version);
        let Next::Packet(connect) = raw.next(SOON) else { return };
        assert_eq!(connect.kind(), CONNECT, "{connect:?}");
        // Behind the name of the protocol and its level.
        let is_clean = connect.body.get(7).is_some_and(|flags| flags & 2 > 0);
        let forgets = self.forgets.swap(false, Ordering::Relaxed) || is_clean;
        let is_kept = !forgets && self.subscribed.load(Ordering::Relaxed);
        self.subscribed.store(is_kept, Ordering::Relaxed);
        let end: &[u8] = if version == V5 { &[0, 0] } else { &[0] };
        raw.send(&packet(0x20, &[&[u8::from(is_kept)], end].concat()));
        self.stubborn().go_on_with(raw, is_kept);
    }
}

fn answer_v4(request: &Packet) -> Option<Vec<u8>> {
    answer(request, &[], &[])
}

fn answer_v5(request: &Packet) -> Option<Vec<u8>> {
    answer(request, &[0], &[0])
}

/// Each asks for one filter.
fn answer(request: &Packet, properties: &[u8], unsubscribed: &[u8]) -> Option<Vec<u8>> {
    let id = || request.packet_id().to_be_bytes();
    match request.kind() {
        SUBSCRIBE => Some(packet(0x90, &[&id(), properties, &[2]].concat())),
        UNSUBSCRIBE => Some(packet(0xB0, &[&id(), properties, unsubscribed].concat())),
        // It says goodbye.
        DISCONNECT => Some(Vec::new()),
        PINGREQ => Some(vec![PING[0] + 0x10, 0]),
        _ => None,
    }
}
