//! A client that does exactly what the test says, byte by byte.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::eventually::SOON;
use crate::tls::TlsStream;
use crate::wire::{self, Connect, Delivered, Packet, Properties, Version};

/// Bytes to and from the broker, with or without TLS.
pub trait Stream: Read + Write + Send {
    /// What they go over, for its timeouts.
    fn socket(&self) -> &TcpStream;
}

impl Stream for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Stream for TlsStream {
    fn socket(&self) -> &TcpStream {
        &self.sock
    }
}

pub struct Raw {
    stream: Box<dyn Stream>,
    version: Version,
    buffer: Vec<u8>,
    next_id: u16,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    Packet(Packet),
    /// The other side closed the connection.
    Closed,
    /// Nothing came in time.
    Silence,
}

// === impl Raw ===

impl Raw {
    /// A TCP connection on which nothing has been said.
    pub fn open(broker: SocketAddr, version: Version) -> Self {
        Self::try_open(broker, version).expect("the broker accepts connections")
    }

    /// The same with a broker that may not be there.
    pub fn try_open(broker: SocketAddr, version: Version) -> Option<Self> {
        let stream = TcpStream::connect_timeout(&broker, SOON).ok()?;
        stream.set_nodelay(true).ok()?;
        Some(Self::over(stream, version))
    }

    /// On a connection that is there.
    pub fn over(stream: impl Stream + 'static, version: Version) -> Self {
        Self { stream: Box::new(stream), version, buffer: Vec::new(), next_id: 1 }
    }

    /// Connects with a clean session on a connection that is there, and expects to be welcome.
    pub fn clean_over(stream: impl Stream + 'static, version: Version, client_id: &str) -> Self {
        let mut raw = Self::over(stream, version);
        raw.send(&Connect::new(version, client_id).encode());
        let connack = raw.expect(wire::CONNACK);
        assert_eq!(connack.reason(), 0, "CONNACK {connack:?}");
        raw
    }

    /// The same from another address of this machine: `127.0.0.2`.
    pub fn open_from(source: IpAddr, broker: SocketAddr, version: Version) -> Option<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).ok()?;
        socket.bind(&SocketAddr::new(source, 0).into()).ok()?;
        socket.connect_timeout(&broker.into(), SOON).ok()?;
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true).ok()?;
        Some(Self { stream: Box::new(stream), version, buffer: Vec::new(), next_id: 1 })
    }

    /// Connects and expects to be welcome. Gives the CONNACK too.
    pub fn connect(broker: SocketAddr, connect: &Connect) -> (Self, Packet) {
        let mut raw = Self::open(broker, connect.version);
        raw.send(&connect.encode());
        let connack = raw.expect(wire::CONNACK);
        assert_eq!(connack.reason(), 0, "CONNACK {connack:?}");
        (raw, connack)
    }

    /// A clean session.
    pub fn clean(broker: SocketAddr, version: Version, client_id: &str) -> Self {
        Self::connect(broker, &Connect::new(version, client_id)).0
    }

    /// Its own end of the connection.
    pub fn local_address(&self) -> SocketAddr {
        self.stream.socket().local_addr().expect("a socket that is connected")
    }

    pub fn version(&self) -> Version {
        self.version
    }

    /// The other side may be gone already: what it made of the bytes is for the next read to tell.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// The same with another side that may stop reading: how many bytes it took in time.
    pub fn send_within(&mut self, bytes: &[u8], patience: Duration) -> usize {
        let (end, mut taken) = (Instant::now() + patience, 0);
        while taken < bytes.len() {
            let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.stream.socket().set_write_timeout(Some(left)).expect("a timeout above zero");
            match self.stream.write(&bytes[taken..]) {
                Ok(wrote @ 1..) => taken += wrote,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
            }
        }
        taken
    }

    pub fn next(&mut self, patience: Duration) -> Next {
        let end = Instant::now() + patience;
        loop {
            if let Some(packet) = Packet::take(&mut self.buffer) {
                return Next::Packet(packet);
            }
            let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.stream.socket().set_read_timeout(Some(left)).expect("a timeout above zero");
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Next::Closed,
                Ok(read) => self.buffer.extend(&chunk[..read]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Next::Silence;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Next::Closed,
            }
        }
    }

    /// The next packet, which must be of this kind.
    pub fn expect(&mut self, kind: u8) -> Packet {
        match self.next(SOON) {
            Next::Packet(packet) if packet.kind() == kind => packet,
            other => panic!("expected a packet of type {kind}, got {other:?}"),
        }
    }

    pub fn expect_delivery(&mut self) -> Delivered {
        let version = self.version;
        self.expect(wire::PUBLISH).delivered(version)
    }

    /// Everything until the other side closes.
    pub fn expect_close(&mut self) -> Vec<Packet> {
        let mut last_words = Vec::new();
        loop {
            match self.next(SOON) {
                Next::Packet(packet) => last_words.push(packet),
                Next::Closed => return last_words,
                Next::Silence => panic!("the connection stays open; last words: {last_words:?}"),
            }
        }
    }

    /// Nothing more was on its way. Two pings: what was queued when the first was read leaves before the second's answer.
    pub fn expect_quiet(&mut self) {
        for _ in 0..2 {
            self.send(wire::PING);
            self.expect(wire::PINGRESP);
        }
    }

    /// Subscribes to one filter and gives the code of the SUBACK, which may come behind retained messages: so it must be
    /// the first packet only when the filter matches none.
    pub fn subscribe(&mut self, filter: &str, options: u8) -> u8 {
        self.subscribe_with(filter, options, &Properties::new())
    }

    pub fn subscribe_with(&mut self, filter: &str, options: u8, properties: &Properties) -> u8 {
        let packet_id = self.take_id();
        self.send(&wire::subscribe(self.version, packet_id, properties, &[(filter, options)]));
        let suback = self.expect(wire::SUBACK);
        assert_eq!(suback.packet_id(), packet_id);
        suback.codes(self.version)[0]
    }

    /// Publishes and waits for the exchange to be complete.
    pub fn publish(&mut self, topic: &str, payload: &str, qos: u8) {
        let packet_id = self.take_id();
        let version = self.version;
        self.send(&wire::publish(version, topic, payload).qos(qos, packet_id).encode());
        self.finish_publish(qos, packet_id);
    }

    pub fn finish_publish(&mut self, qos: u8, packet_id: u16) {
        match qos {
            1 => assert_eq!(self.expect(wire::PUBACK).packet_id(), packet_id),
            2 => {
                assert_eq!(self.expect(wire::PUBREC).packet_id(), packet_id);
                self.send(&wire::ack(wire::PUBREL, packet_id));
                assert_eq!(self.expect(wire::PUBCOMP).packet_id(), packet_id);
            }
            _ => {}
        }
    }

    /// Acknowledges a delivery as its QoS asks for.
    pub fn acknowledge(&mut self, delivered: &Delivered) {
        match delivered.qos {
            1 => self.send(&wire::ack(wire::PUBACK, delivered.packet_id)),
            2 => {
                self.send(&wire::ack(wire::PUBREC, delivered.packet_id));
                assert_eq!(self.expect(wire::PUBREL).packet_id(), delivered.packet_id);
                self.send(&wire::ack(wire::PUBCOMP, delivered.packet_id));
            }
            _ => {}
        }
    }

    /// DISCONNECT, and waits until the other side has seen it: what it does about it may take a moment more.
    pub fn leave(mut self) {
        self.send(wire::GOODBYE);
        let _ = self.expect_close();
    }

    fn take_id(&mut self) -> u16 {
        let id = self.next_id;
        self.next_id = id.checked_add(1).unwrap_or(1);
        id
    }
}
