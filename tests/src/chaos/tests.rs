//! The faults, by two plain sockets at the ends of the line.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::*;
use crate::eventually::SOON;
use crate::wire::{PINGREQ, PUBLISH};

/// A packet of two bytes each way would do, but the second has a body.
const PACKETS: &[u8] = b"\xC0\0\x30\x03\0\x01t\xC0\0\xC0\0";

struct Ends {
    proxy: Proxy,
    server: TcpListener,
}

impl Ends {
    fn new() -> Self {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        Self { proxy: Proxy::to(server.local_addr().unwrap()), server }
    }

    /// A connection: the client's end and the server's.
    fn connect(&self) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(self.proxy.address()).unwrap();
        let (server, _) = self.server.accept().unwrap();
        for end in [&client, &server] {
            end.set_read_timeout(Some(SOON)).unwrap();
        }
        (client, server)
    }
}

/// Everything until the end, and how that came.
fn read_all(end: &mut TcpStream) -> (Vec<u8>, Option<ErrorKind>) {
    let mut bytes = Vec::new();
    let result = end.read_to_end(&mut bytes);
    (bytes, result.err().map(|error| error.kind()))
}

#[test]
fn without_a_fault_bytes_and_ends_pass_in_both_directions() {
    let ends = Ends::new();
    let (mut client, mut server) = ends.connect();
    client.write_all(PACKETS).unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut server), (PACKETS.to_vec(), None));
    server.write_all(b"\xD0\0").unwrap();
    drop(server);
    assert_eq!(read_all(&mut client), (b"\xD0\0".to_vec(), None));
    assert_eq!(ends.proxy.passed(Direction::Up, PINGREQ), 3);
    assert_eq!(ends.proxy.passed(Direction::Up, PUBLISH), 1);
    assert_eq!(ends.proxy.passed(Direction::Down, PUBLISH), 0);
}

#[test]
fn a_cut_falls_exactly_before_or_behind_its_packet_and_fires_once() {
    let cases = [
        (Cut::before(PINGREQ, 1), 0),
        (Cut::after(PINGREQ, 1), 2),
        (Cut::before(PUBLISH, 1), 2),
        (Cut::after(PUBLISH, 1), 7),
        (Cut::before(PINGREQ, 3), 9),
    ];
    let ends = Ends::new();
    for (number, (cut, bytes)) in cases.into_iter().enumerate() {
        let (mut client, mut server) = ends.connect();
        ends.proxy.set(Fault::Cut(cut));
        client.write_all(PACKETS).unwrap();
        assert_eq!(read_all(&mut server), (PACKETS[..bytes].to_vec(), Some(ErrorKind::ConnectionReset)), "{cut:?}");
        assert_eq!(read_all(&mut client), (Vec::new(), Some(ErrorKind::ConnectionReset)), "{cut:?}");
        assert_eq!(ends.proxy.cuts(), number + 1);
    }
    let (mut client, mut server) = ends.connect();
    client.write_all(PACKETS).unwrap();
    drop(client);
    assert_eq!(read_all(&mut server).0, PACKETS);
}

#[test]
fn a_cut_by_bytes_counts_one_direction() {
    let ends = Ends::new();
    let (mut client, mut server) = ends.connect();
    ends.proxy.set(Fault::CutAfter { direction: Direction::Down, bytes: 3 });
    client.write_all(PACKETS).unwrap();
    server.read_exact(&mut [0; 11]).unwrap();
    server.write_all(PACKETS).unwrap();
    assert_eq!(read_all(&mut client), (PACKETS[..3].to_vec(), Some(ErrorKind::ConnectionReset)));
}

#[test]
fn while_nobody_listens_connections_are_refused_and_after_healing_they_are_not() {
    let ends = Ends::new();
    let (mut client, _server) = ends.connect();
    ends.proxy.set(Fault::Refuse);
    assert_eq!(read_all(&mut client).1, Some(ErrorKind::ConnectionReset), "open ones end");
    let refused = TcpStream::connect(ends.proxy.address()).map(drop).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    ends.proxy.heal();
    ends.connect();
}

#[test]
fn a_reset_ends_open_connections_and_new_ones() {
    let ends = Ends::new();
    let (mut client, _server) = ends.connect();
    ends.proxy.set(Fault::Reset);
    assert_eq!(read_all(&mut client).1, Some(ErrorKind::ConnectionReset));
    let mut client = TcpStream::connect(ends.proxy.address()).unwrap();
    assert_eq!(read_all(&mut client).1, Some(ErrorKind::ConnectionReset));
}

#[test]
fn half_open_holds_everything_back_and_a_blackhole_swallows_it() {
    for (fault, arrives) in [(Fault::HalfOpen, &b"ab"[..]), (Fault::Blackhole, b"")] {
        let ends = Ends::new();
        let (mut client, mut server) = ends.connect();
        ends.proxy.set(fault);
        client.write_all(b"ab").unwrap();
        server.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let silence = server.read(&mut [0; 2]).unwrap_err().kind();
        assert_eq!(silence, ErrorKind::WouldBlock, "{fault:?}: nothing passes, and the socket stays open");
        ends.proxy.heal();
        server.set_read_timeout(Some(SOON)).unwrap();
        drop(client);
        assert_eq!(read_all(&mut server).0, arrives, "{fault:?}");
    }
}

#[test]
fn latency_and_throttling_delay_and_splitting_changes_nothing() {
    let sent = vec![7; 4000];
    let cases = [(Fault::Latency(Duration::from_millis(80)), 80), (Fault::Throttle(40_000), 80), (Fault::Split, 0)];
    for (fault, least) in cases {
        let ends = Ends::new();
        let (mut client, mut server) = ends.connect();
        ends.proxy.set(fault);
        let start = Instant::now();
        client.write_all(&sent).unwrap();
        drop(client);
        assert_eq!(read_all(&mut server), (sent.clone(), None), "{fault:?}");
        assert!(start.elapsed() >= Duration::from_millis(least), "{fault:?}: {:?}", start.elapsed());
    }
}
