//! A device that publishes: blocking, many packets a write, nothing computed that is not needed.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use tidegate_tests::raw::Stream;
use tidegate_tests::tls;
use tidegate_tests::wire::{Connect, Version};

use crate::payload::Template;
use crate::tls::Door;

/// Longer than any pause of a system that is alive.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Device {
    stream: Box<dyn Stream>,
    template: Template,
    qos: u8,
    sent: u32,
    out: Vec<u8>,
    unread: Vec<u8>,
}

// === impl Device ===

impl Device {
    pub fn connect(broker: SocketAddr, publisher: usize, qos: u8) -> Self {
        let stream = TcpStream::connect(broker).expect("the system accepts connections");
        stream.set_nodelay(true).expect("TCP_NODELAY");
        Self::over(Box::new(stream), publisher, qos)
    }

    pub fn over_tls(door: &Door, publisher: usize, qos: u8) -> Self {
        let stream = tls::connect(door.address, door.client.clone()).expect("the system speaks TLS");
        Self::over(Box::new(stream), publisher, qos)
    }

    fn over(mut stream: Box<dyn Stream>, publisher: usize, qos: u8) -> Self {
        stream.socket().set_read_timeout(Some(PATIENCE)).expect("a read timeout");
        stream.write_all(&Connect::new(Version::V4, &format!("device-{publisher:02}")).encode()).expect("CONNECT");
        let mut connack = [0; 4];
        stream.read_exact(&mut connack).expect("a CONNACK");
        assert_eq!(connack, [0x20, 2, 0, 0], "CONNACK");
        let template = Template::new(publisher, qos);
        Self { stream, template, qos, sent: 0, out: Vec::new(), unread: Vec::new() }
    }

    pub fn sent(&self) -> u32 {
        self.sent
    }

    /// A second handle on the same connection, which is one without TLS, for a thread that answers while this one sends on time.
    pub fn answering(&self) -> Self {
        let stream = Box::new(self.stream.socket().try_clone().expect("a second handle of a socket"));
        let template = Template::new(0, self.qos);
        Self { stream, template, qos: self.qos, sent: 0, out: Vec::new(), unread: Vec::new() }
    }

    /// Puts `count` messages into the next write.
    pub fn queue(&mut self, count: usize) {
        for _ in 0..count {
            let packet_id = (self.sent % 65_535 + 1) as u16;
            self.out.extend_from_slice(self.template.message(self.sent, packet_id));
            self.sent += 1;
        }
    }

    pub fn flush(&mut self) {
        self.stream.write_all(&self.out).expect("the system keeps the connection");
        self.out.clear();
    }

    /// The same, when the other side may have closed already.
    pub fn flush_quietly(&mut self) {
        let _ = self.stream.write_all(&self.out);
        self.out.clear();
    }

    /// Waits for acks; answers PUBREC with the next write. How many messages are complete with it: `None` when the
    /// connection has ended or nothing comes any more.
    pub fn read_acks(&mut self) -> Option<usize> {
        let mut buffer = [0; 16 * 1024];
        let read = self.stream.read(&mut buffer).ok().filter(|read| *read > 0)?;
        self.unread.extend_from_slice(&buffer[..read]);
        let mut complete = 0;
        let (acks, rest) = self.unread.as_chunks::<4>();
        for [kind, _, high, low] in acks {
            match kind >> 4 {
                4 | 7 => complete += 1,
                5 => self.out.extend([0x62, 2, *high, *low]),
                other => panic!("packet type {other} where an ack was expected"),
            }
        }
        self.unread = rest.to_vec();
        Some(complete)
    }

    pub fn close(&self) {
        let _ = self.stream.socket().shutdown(std::net::Shutdown::Both);
    }
}
