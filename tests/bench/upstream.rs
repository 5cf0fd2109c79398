//! The upstream: a broker that acknowledges at once and remembers when what arrived. As cheap as it can be, since it shares
//! the machine with what it measures: one thread a connection, acks of all that was read in one write.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tidegate_tests::wire::read::frame;

use crate::payload;

const READ_AT_ONCE: usize = 256 * 1024;

/// One message, as it came in.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    pub publisher: usize,
    pub number: u32,
    pub at: Instant,
}

#[derive(Clone)]
pub struct Upstream(Arc<Shared>);

struct Shared {
    address: SocketAddr,
    connections: AtomicUsize,
    /// Closes every connection at once.
    away: AtomicBool,
    publishers: Vec<Publisher>,
    arrivals: Mutex<Vec<Arrival>>,
}

/// For QoS 0, where nobody else can say that it is time for more.
#[derive(Default)]
struct Publisher {
    arrived: AtomicU64,
    /// Wake it when so many have arrived; 0: it does not wait.
    awaited: AtomicU64,
    waits: Mutex<Option<Thread>>,
}

// === impl Upstream ===

impl Upstream {
    /// On a port that the kernel chose. Ends with the process.
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of the loopback interface");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Shared {
            address,
            connections: AtomicUsize::new(0),
            away: AtomicBool::new(false),
            publishers: (0..100).map(|_| Publisher::default()).collect(),
            arrivals: Mutex::default(),
        };
        let upstream = Self(Arc::new(shared));
        let serving = upstream.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                thread::spawn(move || serving.serve(stream));
            }
        });
        upstream
    }

    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// An outage: the connections that there are end with what they hear next, new ones at once.
    pub fn leave(&self) {
        self.0.away.store(true, Ordering::Relaxed);
    }

    pub fn come_back(&self) {
        self.0.away.store(false, Ordering::Relaxed);
    }

    /// Clients that have been welcomed so far.
    pub fn connections(&self) -> usize {
        self.0.connections.load(Ordering::Relaxed)
    }

    pub fn arrived(&self, publisher: usize) -> u64 {
        self.0.publishers.get(publisher).map_or(0, |one| one.arrived.load(Ordering::Relaxed))
    }

    /// Until so many of a publisher have arrived, or for a while. Asking again and again would take the processor from what is
    /// measured.
    pub fn await_arrivals(&self, publisher: usize, count: u64) {
        let Some(one) = self.0.publishers.get(publisher) else { return };
        *one.waits.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread::current());
        one.awaited.store(count, Ordering::SeqCst);
        if one.arrived.load(Ordering::SeqCst) < count {
            thread::park_timeout(Duration::from_millis(100));
        }
    }

    pub fn total(&self) -> u64 {
        self.0.publishers.iter().map(|one| one.arrived.load(Ordering::Relaxed)).sum()
    }

    pub fn take_arrivals(&self) -> Vec<Arrival> {
        std::mem::take(&mut *self.0.arrivals.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn serve(&self, mut stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let mut buffer = vec![0; READ_AT_ONCE];
        let (mut filled, mut answers) = (0, Vec::new());
        while let Ok(read @ 1..) = stream.read(&mut buffer[filled..]) {
            if self.0.away.load(Ordering::Relaxed) {
                return;
            }
            filled += read;
            let used = self.answer(&buffer[..filled], &mut answers);
            buffer.copy_within(used..filled, 0);
            filled -= used;
            if !answers.is_empty() && stream.write_all(&answers).is_err() {
                return;
            }
            answers.clear();
        }
    }

    /// Handles all whole packets, and says how many bytes they were.
    fn answer(&self, bytes: &[u8], answers: &mut Vec<u8>) -> usize {
        let (mut used, at) = (0, Instant::now());
        let mut arrivals = Vec::new();
        while let Some((header, body)) = frame(&bytes[used..]) {
            let (first, body_at) = (bytes[used], used + header);
            let body = &bytes[body_at..body_at + body];
            match first >> 4 {
                1 => self.welcome(body, answers),
                3 => arrivals.extend(self.publish(first, body, at, answers)),
                6 => answers.extend([0x70, 2, body[0], body[1]]),
                8 => answers.extend([0x90, 3, body[0], body[1], 2]),
                12 => answers.extend([0xD0, 0]),
                _ => {}
            }
            used = body_at + body.len();
        }
        self.0.arrivals.lock().unwrap_or_else(PoisonError::into_inner).extend(arrivals);
        used
    }

    /// A bridge of mosquitto sets the highest bit of the protocol level.
    fn welcome(&self, connect: &[u8], answers: &mut Vec<u8>) {
        let v5 = connect.get(6).is_some_and(|level| level & 0x7F == 5);
        answers.extend_from_slice(if v5 { &[0x20, 3, 0, 0, 0] } else { &[0x20, 2, 0, 0] });
        self.0.connections.fetch_add(1, Ordering::Relaxed);
    }

    fn publish(&self, first: u8, body: &[u8], at: Instant, answers: &mut Vec<u8>) -> Option<Arrival> {
        let topic_end = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
        match first & 0x06 {
            0x02 => answers.extend([0x40, 2, body[topic_end], body[topic_end + 1]]),
            0x04 => answers.extend([0x50, 2, body[topic_end], body[topic_end + 1]]),
            _ => {}
        }
        let (publisher, number) = payload::identity(&body[topic_end..])?;
        self.0.publishers.get(publisher)?.arrive();
        Some(Arrival { publisher, number, at })
    }
}

// === impl Publisher ===

impl Publisher {
    fn arrive(&self) {
        let arrived = self.arrived.fetch_add(1, Ordering::SeqCst) + 1;
        let awaited = self.awaited.load(Ordering::SeqCst);
        if awaited != 0 && arrived >= awaited && self.awaited.swap(0, Ordering::SeqCst) != 0 {
            let waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
            waits.iter().for_each(Thread::unpark);
        }
    }
}
