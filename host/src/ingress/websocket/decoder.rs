//! From the frames of a client to its bytes, in the buffer that they were read into. Sans-IO.

use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

use super::encoder::Encoder;
use super::mask::Mask;

/// The longest header: 2 bytes, 8 of a length, 4 of a mask (RFC 6455, section 5.2).
const MAX_HEADER: usize = 14;

/// What a control frame may carry (section 5.5).
const MAX_CONTROL: u64 = 125;

/// Of a close frame, before its reason.
const CODE_BYTES: usize = 2;

#[derive(Debug, Default)]
pub struct Decoder {
    /// A header of which not all has come.
    header: [u8; MAX_HEADER],
    header_len: usize,
    state: State,
    /// A message has begun, and its last frame has not come.
    in_message: bool,
    /// The last frame of data was empty.
    was_empty: bool,
    /// Frames that carry nothing, since they were asked for.
    silent: u32,
    ended: Option<Ended>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Header,
    Payload {
        left: u64,
        mask: Mask,
    },
    Control {
        kind: Control,
        left: usize,
        mask: Mask,
        payload: Vec<u8>,
    },
}

/// Why nothing of what comes is looked at any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The client has sent a close frame.
    ByPeer,
    /// For the log: never a part of what came.
    Fault(&'static str),
}

/// The close code (section 7.4.1), and what for.
type Fault = (CloseCode, &'static str);

// === impl Decoder ===

impl Decoder {
    pub fn ended(&self) -> Option<Ended> {
        self.ended
    }

    /// How many frames have come since the last time that carry nothing: control frames, and empty ones one after the other.
    pub fn take_silent(&mut self) -> u32 {
        std::mem::take(&mut self.silent)
    }

    /// Nothing more is looked at.
    pub fn give_up(&mut self, detail: &'static str, answers: &mut Encoder) {
        self.fail((CloseCode::Policy, detail), answers);
    }

    /// Moves the payload that is in `bytes` to their front, and says how much it is. What has to be answered is queued in `answers`.
    pub fn decode(&mut self, bytes: &mut [u8], answers: &mut Encoder) -> usize {
        let (mut at, mut kept) = (0, 0);
        while at < bytes.len() && self.ended.is_none() {
            match &mut self.state {
                State::Header => at += self.read_header(&bytes[at..], answers),
                State::Payload { left, mask } => {
                    let end =
                        usize::try_from(*left).map_or(bytes.len(), |left| bytes.len().min(at.saturating_add(left)));
                    mask.lift(&mut bytes[at..end]);
                    bytes.copy_within(at..end, kept);
                    *left -= (end - at) as u64;
                    let is_over = *left == 0;
                    (at, kept) = (end, kept + end - at);
                    if is_over {
                        self.state = State::Header;
                    }
                }
                State::Control { left, mask, payload, .. } => {
                    let end = bytes.len().min(at + *left);
                    mask.lift(&mut bytes[at..end]);
                    payload.extend_from_slice(&bytes[at..end]);
                    *left -= end - at;
                    let is_over = *left == 0;
                    at = end;
                    if is_over {
                        self.obey(answers);
                    }
                }
            }
        }
        kept
    }

    /// How many of the bytes belong to the header.
    fn read_header(&mut self, bytes: &[u8], answers: &mut Encoder) -> usize {
        let before = self.header_len;
        let more = bytes.len().min(MAX_HEADER - before);
        self.header[before..before + more].copy_from_slice(&bytes[..more]);
        self.header_len += more;
        let mut cursor = Cursor::new(&self.header[..self.header_len]);
        let parsed = FrameHeader::parse(&mut cursor);
        let length = usize::try_from(cursor.position()).unwrap_or(MAX_HEADER);
        let begun = match parsed {
            Ok(None) => return more,
            Ok(Some((header, payload))) if header.len(payload) == length => self.begin(&header, payload),
            Ok(Some(_)) => Err((CloseCode::Protocol, "a length of a frame that is longer than it needs to be")),
            Err(_) => Err((CloseCode::Protocol, "a frame of an unknown kind")),
        };
        self.header_len = 0;
        match begun {
            Ok(()) if matches!(self.state, State::Control { left: 0, .. }) => self.obey(answers),
            Ok(()) => {}
            Err(fault) => self.fail(fault, answers),
        }
        length.saturating_sub(before)
    }

    fn begin(&mut self, header: &FrameHeader, length: u64) -> Result<(), Fault> {
        let wrong = |detail| Err((CloseCode::Protocol, detail));
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return wrong("a frame of an extension that was not agreed to");
        }
        let Some(mask) = header.mask.map(Mask::new) else { return wrong("a frame without a mask") };
        match header.opcode {
            OpCode::Control(_) if !header.is_final => return wrong("a control frame in pieces"),
            OpCode::Control(kind) => {
                let Some(left) = usize::try_from(length.min(MAX_CONTROL + 1)).ok().filter(|_| length <= MAX_CONTROL)
                else {
                    return wrong("a control frame of more than 125 bytes");
                };
                self.silent += 1;
                self.state = State::Control { kind, left, mask, payload: Vec::with_capacity(left) };
                return Ok(());
            }
            // [MQTT-6.0.0-1]
            OpCode::Data(Data::Text) => {
                return Err((CloseCode::Unsupported, "a text frame: MQTT is sent in binary ones"));
            }
            OpCode::Data(Data::Continue) if !self.in_message => return wrong("a continuation of no message"),
            OpCode::Data(Data::Continue) => {}
            OpCode::Data(_) if self.in_message => return wrong("a message within another one"),
            OpCode::Data(_) => {}
        }
        if length > i64::MAX as u64 {
            return wrong("a frame of more than 2^63 bytes");
        }
        self.in_message = !header.is_final;
        // A last frame that is empty is usual: that of a message whose length was not known before.
        self.silent += u32::from(length == 0 && self.was_empty);
        self.was_empty = length == 0;
        self.state = if length == 0 { State::Header } else { State::Payload { left: length, mask } };
        Ok(())
    }

    /// A control frame is complete.
    fn obey(&mut self, answers: &mut Encoder) {
        let State::Control { kind, payload, .. } = std::mem::replace(&mut self.state, State::Header) else { return };
        match kind {
            Control::Ping => answers.pong(payload),
            Control::Close => match close_code(&payload) {
                Ok(code) => {
                    self.ended = Some(Ended::ByPeer);
                    answers.close(code);
                }
                Err(fault) => self.fail(fault, answers),
            },
            // Nothing was asked, which a client may answer (section 5.5.3).
            Control::Pong | Control::Reserved(_) => {}
        }
    }

    fn fail(&mut self, (code, detail): Fault, answers: &mut Encoder) {
        self.ended = Some(Ended::Fault(detail));
        answers.close(Some(code));
    }
}

/// The code to answer with: the same (section 5.5.1), unless there is none.
fn close_code(payload: &[u8]) -> Result<Option<CloseCode>, Fault> {
    let Some((code, reason)) = payload.split_first_chunk::<CODE_BYTES>() else {
        return if payload.is_empty() { Ok(None) } else { Err((CloseCode::Protocol, "a close frame of one byte")) };
    };
    let code = CloseCode::from(u16::from_be_bytes(*code));
    if !code.is_allowed() {
        return Err((CloseCode::Protocol, "a close code that is never sent"));
    }
    match std::str::from_utf8(reason) {
        Ok(_) => Ok(Some(code)),
        Err(_) => Err((CloseCode::Invalid, "a reason of a close frame that is not UTF-8")),
    }
}
