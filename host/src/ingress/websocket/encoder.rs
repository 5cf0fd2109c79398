//! Towards a client: the headers of frames around the bytes of a connection, and what a client is to be answered. Sans-IO.
//!
//! The bytes themselves are not here: a frame promises so many of them, and they follow from the buffer of the connection.

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

/// The longest frame that is written. Its length fits into 16 bits, which small clients can read; and an answer never waits for more.
const MAX_FRAME: usize = 0xFFFF;

/// Without a mask, and of this length.
const MAX_HEADER: usize = 4;

#[derive(Debug, Default)]
pub struct Encoder {
    header: [u8; MAX_HEADER],
    /// Of the header, what is not sent.
    header_from: usize,
    header_to: usize,
    /// Payload that the frame promises, and that is not sent.
    left: usize,
    /// A control frame that is being sent, from `control_from` on.
    control: Vec<u8>,
    control_from: usize,
    /// The answer to the last ping: to earlier ones that nobody has read, none is owed (RFC 6455, section 5.5.3).
    pong: Option<Vec<u8>>,
    close: Close,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Close {
    #[default]
    No,
    Queued(Option<CloseCode>),
    /// It is in `control`, or has been.
    Begun,
}

// === impl Encoder ===

impl Encoder {
    /// Queues the answer to a ping.
    pub fn pong(&mut self, payload: Vec<u8>) {
        self.pong = Some(payload);
    }

    /// Queues a close frame, unless there has been one.
    pub fn close(&mut self, code: Option<CloseCode>) {
        if self.close == Close::No {
            self.close = Close::Queued(code);
        }
    }

    /// No frame may follow.
    pub fn is_closed(&self) -> bool {
        self.close == Close::Begun
    }

    /// What has to be sent before anything else: a control frame, between two others.
    pub fn control(&mut self) -> &[u8] {
        let is_between = self.header_from == self.header_to && self.left == 0;
        if self.control.is_empty() && is_between {
            self.begin_control();
        }
        &self.control[self.control_from..]
    }

    pub fn sent_of_control(&mut self, bytes: usize) {
        self.control_from += bytes;
        if self.control_from >= self.control.len() {
            (self.control, self.control_from) = (Vec::new(), 0);
        }
    }

    /// Begins a frame, when none is being sent, of so many bytes at most.
    pub fn begin(&mut self, available: usize) {
        if self.left > 0 || available == 0 {
            return;
        }
        self.left = available.min(MAX_FRAME);
        let header = FrameHeader { opcode: OpCode::Data(Data::Binary), ..FrameHeader::default() };
        let mut rest = &mut self.header[..];
        // Four bytes are enough for it: there is no mask, and the length is one of 16 bits.
        let _ = header.format(self.left as u64, &mut rest);
        (self.header_from, self.header_to) = (0, MAX_HEADER - rest.len());
    }

    /// Goes before the payload.
    pub fn header(&self) -> &[u8] {
        &self.header[self.header_from..self.header_to]
    }

    /// How much of the payload may follow the header.
    pub fn left(&self) -> usize {
        self.left
    }

    /// So many bytes of header and payload are sent. Gives how many of the payload.
    pub fn sent(&mut self, bytes: usize) -> usize {
        let of_header = bytes.min(self.header().len());
        self.header_from += of_header;
        let of_payload = (bytes - of_header).min(self.left);
        self.left -= of_payload;
        of_payload
    }

    fn begin_control(&mut self) {
        match std::mem::replace(&mut self.close, Close::Begun) {
            Close::Queued(code) => {
                let payload = code.map_or(Vec::new(), |code| u16::from(code).to_be_bytes().to_vec());
                self.control = frame(Control::Close, &payload);
            }
            Close::No => {
                self.close = Close::No;
                self.control = self.pong.take().map_or(Vec::new(), |payload| frame(Control::Pong, &payload));
            }
            Close::Begun => {}
        }
    }
}

fn frame(kind: Control, payload: &[u8]) -> Vec<u8> {
    let header = FrameHeader { opcode: OpCode::Control(kind), ..FrameHeader::default() };
    let mut frame = Vec::with_capacity(MAX_HEADER + payload.len());
    // A vector takes everything.
    let _ = header.format(payload.len() as u64, &mut frame);
    frame.extend_from_slice(payload);
    frame
}
