//! A WebSocket as a stream of bytes, over whatever stream there is: for clients that do not care about frames.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

use crate::raw::Stream;
use crate::websocket::{BINARY, PING, frame, request, take};

/// In one frame, so that long packets have several.
const FRAME_BYTES: usize = 4_000;

pub struct Framed<S> {
    stream: S,
    raw: Vec<u8>,
    mqtt: Vec<u8>,
    /// Of a frame that has begun.
    unsent: Vec<u8>,
}

// === impl Framed ===

impl<S: Stream> Framed<S> {
    pub fn open(mut stream: S) -> io::Result<Self> {
        stream.write_all(request("Sec-WebSocket-Protocol: mqtt\r\n").as_bytes())?;
        stream.flush()?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.extend(byte);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
        Ok(Self { stream, raw: Vec::new(), mqtt: Vec::new(), unsent: Vec::new() })
    }

    /// As much as the other side takes in time.
    fn write_unsent(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(wrote) => drop(self.unsent.drain(..wrote)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl<S: Stream> Read for Framed<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.mqtt.is_empty() {
            match take(&mut self.raw) {
                Some(frame) if frame.first == BINARY => self.mqtt = frame.payload,
                Some(frame) => {
                    assert_ne!(frame.first, PING, "the gateway sends no pings");
                    return Ok(0);
                }
                None => {
                    let mut chunk = [0; 4096];
                    match self.stream.read(&mut chunk)? {
                        0 => return Ok(0),
                        read => self.raw.extend(&chunk[..read]),
                    }
                }
            }
        }
        let length = buffer.len().min(self.mqtt.len());
        buffer[..length].copy_from_slice(&self.mqtt[..length]);
        self.mqtt.drain(..length);
        Ok(length)
    }
}

impl<S: Stream> Write for Framed<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_unsent()?;
        let length = bytes.len().min(FRAME_BYTES);
        self.unsent = frame(BINARY, &bytes[..length]);
        match self.write_unsent() {
            // The rest of it goes before the next one.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(length),
            wrote => wrote.map(|()| length),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_unsent()?;
        self.stream.flush()
    }
}

impl<S: Stream> Stream for Framed<S> {
    fn socket(&self) -> &TcpStream {
        self.stream.socket()
    }
}
