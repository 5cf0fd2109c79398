//! MQTT in WebSocket (RFC 6455; MQTT 5, section 6): a stage before a connection, which is served as over TCP.
//!
//! ```text
//!  socket ─▶ upgrade, request, origin: the head of an HTTP request ─▶ 101, or an answer in words
//!         ─▶ decoder: frames ─▶ bytes of MQTT ─┐
//!         ◀─ encoder: frames ◀─ bytes of MQTT ─┴─ stream: AsyncRead and AsyncWrite
//! ```
//!
//! # What is promised
//! - Bytes come out the same, however a client cuts them into frames and messages, and its network cuts those.
//! - A frame is never kept: its payload is unmasked in the buffer that it was read into, and what is written is the buffer of the connection, with a
//!   header before it. An idle connection has some 200 bytes more than one over TCP. A length that a frame claims reserves no memory.
//! - What is owed to a peer that does not read is one pong and one close frame.
//! - Frames that carry nothing of MQTT come at a bounded rate: `max_bytes_per_second` does not see them.
//!
//! # What was not chosen
//! tokio-tungstenite, or tungstenite's own `WebSocket`: they give whole messages, which they keep until these are complete, in buffers of their own,
//! for each connection. What is judged by them is the handshake and the header of a frame: docs/decisions/0056.

mod decoder;
mod encoder;
mod mask;
mod origin;
mod request;
mod silence;
mod stream;
mod upgrade;

pub use decoder::{Decoder, Ended};
pub use encoder::Encoder;
pub use stream::{Reader, WebSocket, Writer};
pub use upgrade::{Refused, upgrade};

#[cfg(test)]
pub(crate) mod tests;
