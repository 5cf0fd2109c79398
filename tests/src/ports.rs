//! Ports for servers that cannot ask the kernel for one, or that must come back on the same one.
//!
//! Below the range from which Linux takes the source ports of outgoing connections (32768 and up). From inside it, a gateway
//! that reconnects to an upstream that is away would sooner or later be given that very port and be connected to itself.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

const FIRST: u16 = 15_000;
const COUNT: u16 = 16_000;

/// A port of the loopback interface that was free a moment ago. Whoever takes it must be ready to try another.
pub fn free() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test runs that share a machine begin at different places, further apart than a run needs ports.
    let offset = u16::try_from(std::process::id().wrapping_mul(61) % u32::from(COUNT)).unwrap_or(0);
    for _ in 0..COUNT {
        let port = FIRST + (offset + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port from {FIRST} to {}", FIRST + COUNT);
}
