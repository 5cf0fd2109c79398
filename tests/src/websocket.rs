//! A WebSocket as a client has it, frame by frame, written without any of the code under test.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::eventually::SOON;
use crate::wire::Packet;

pub const CONTINUATION: u8 = 0x00;
pub const TEXT: u8 = 0x81;
pub const BINARY: u8 = 0x82;
pub const CLOSE: u8 = 0x88;
pub const PING: u8 = 0x89;
pub const PONG: u8 = 0x8A;

/// Any mask but a weak one, so that bytes which are not unmasked are seen.
const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

pub struct WebSocket {
    stream: TcpStream,
    raw: Vec<u8>,
    /// What has come in binary frames.
    mqtt: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    pub first: u8,
    pub payload: Vec<u8>,
}

/// A port of TCP whose connections go on in a WebSocket: what speaks MQTT over TCP speaks it through the frames of this.
pub struct Tunnel {
    address: SocketAddr,
}

/// A frame as a client sends it.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length @ 126..=0xFFFF => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(KEY);
    frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// The request for a WebSocket, with these headers more.
pub fn request(more: &str) -> String {
    format!(
        "GET /mqtt HTTP/1.1\r\nHost: gateway\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

/// What is heard until the other side closes, after these bytes.
pub fn ask(server: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = connect(server);
    // It may have heard enough before all of it is sent.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let end = stream.read_to_end(&mut answer);
    assert!(end.is_ok(), "{end:?} after {}", String::from_utf8_lossy(&answer));
    String::from_utf8_lossy(&answer).into_owned()
}

fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&server, SOON).expect("the gateway accepts connections");
    stream.set_nodelay(true).expect("a socket");
    stream.set_read_timeout(Some(SOON)).expect("a timeout above zero");
    stream
}

// === impl WebSocket ===

impl WebSocket {
    /// With the subprotocol of the specification.
    pub fn open(server: SocketAddr) -> Self {
        Self::open_on(connect(server))
    }

    /// On a connection on which something may have been said.
    pub fn open_on(stream: TcpStream) -> Self {
        let mut socket = Self { stream, raw: Vec::new(), mqtt: Vec::new() };
        socket.send(request("Sec-WebSocket-Protocol: mqtt\r\n").as_bytes());
        let end = loop {
            match socket.raw.windows(4).position(|end| end == b"\r\n\r\n") {
                Some(at) => break at + 4,
                None => assert!(socket.read(SOON), "no answer: {}", String::from_utf8_lossy(&socket.raw)),
            }
        };
        let head = String::from_utf8(socket.raw.drain(..end).collect()).expect("HTTP");
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(head.to_ascii_lowercase().contains("\r\nsec-websocket-protocol: mqtt\r\n"), "{head}");
        socket
    }

    /// Bytes as they are. The other side may be gone already.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    pub fn send_frame(&mut self, first: u8, payload: &[u8]) {
        self.send(&frame(first, payload));
    }

    /// The next frame. `None`: the other side has closed.
    pub fn next_frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = take(&mut self.raw) {
                return Some(frame);
            }
            if !self.read(SOON) {
                assert!(self.raw.is_empty(), "closed within a frame: {:?}", self.raw);
                return None;
            }
        }
    }

    /// The next frame, which must be of this kind.
    pub fn expect(&mut self, first: u8) -> Vec<u8> {
        match self.next_frame() {
            Some(frame) if frame.first == first => frame.payload,
            other => panic!("expected a frame {first:#x}, got {other:?}"),
        }
    }

    /// The next packet of MQTT, which must be of this kind, in binary frames of any size.
    pub fn expect_packet(&mut self, kind: u8) -> Packet {
        loop {
            match Packet::take(&mut self.mqtt) {
                Some(packet) if packet.kind() == kind => return packet,
                Some(other) => panic!("expected a packet of type {kind}, got {other:?}"),
                None => {
                    let payload = self.expect(BINARY);
                    self.mqtt.extend(payload);
                }
            }
        }
    }

    /// The close frame with its code, and then the end of the connection.
    pub fn expect_close(&mut self) -> u16 {
        let payload = self.expect(CLOSE);
        assert_eq!(self.next_frame(), None, "nothing follows a close frame");
        u16::from_be_bytes([payload[0], payload[1]])
    }

    /// False when the other side has closed.
    fn read(&mut self, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        let mut chunk = [0; 4096];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return false,
                Ok(read) => {
                    self.raw.extend(&chunk[..read]);
                    return true;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted && Instant::now() < end => {}
                Err(error) => panic!("neither a frame nor an end in good order: {error}"),
            }
        }
    }
}

/// A frame of a server: without a mask.
pub(crate) fn take(raw: &mut Vec<u8>) -> Option<Frame> {
    let [first, length, rest @ ..] = raw.as_slice() else { return None };
    let (length, rest) = match (length, rest) {
        (0..=125, rest) => (usize::from(*length), rest),
        (126, [a, b, rest @ ..]) => (usize::from(u16::from_be_bytes([*a, *b])), rest),
        (126, _) => return None,
        (other, _) => panic!("a length of {other:#x}: a mask, or more than 65,535 bytes"),
    };
    let frame = Frame { first: *first, payload: rest.get(..length)?.to_vec() };
    let size = raw.len() - rest.len() + length;
    raw.drain(..size);
    Some(frame)
}

// === impl Tunnel ===

impl Tunnel {
    /// `frame_bytes` go into each frame, and every second one continues the message of the one before it.
    pub fn to(server: SocketAddr, frame_bytes: usize) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("a bound listener has an address");
        thread::spawn(move || {
            while let Ok((device, _)) = listener.accept() {
                thread::spawn(move || relay(device, server, frame_bytes));
            }
        });
        Self { address }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn relay(mut device: TcpStream, server: SocketAddr, frame_bytes: usize) {
    let mut socket = WebSocket::open(server);
    socket.stream.set_read_timeout(None).expect("a socket");
    let (mut up, mut from) = (socket.stream.try_clone().expect("a socket"), device.try_clone().expect("a socket"));
    thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(read @ 1..) = from.read(&mut chunk) {
            let frames = chunk[..read].chunks(frame_bytes).enumerate();
            let last = read.div_ceil(frame_bytes) - 1;
            let frames = frames.map(|(index, bytes)| {
                let opcode = if index % 2 == 0 { 2 } else { 0 };
                let is_final = index % 2 == 1 || index == last;
                frame(u8::from(is_final) << 7 | opcode, bytes)
            });
            if up.write_all(&frames.flatten().collect::<Vec<_>>()).is_err() {
                return;
            }
        }
        let _ = up.write_all(&frame(CLOSE, &1000_u16.to_be_bytes()));
    });
    while let Some(Frame { first: BINARY, payload }) = socket.next_frame() {
        if device.write_all(&payload).is_err() {
            break;
        }
    }
    let _ = (device.shutdown(Shutdown::Both), socket.stream.shutdown(Shutdown::Both));
}
