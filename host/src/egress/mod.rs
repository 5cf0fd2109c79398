//! From the spool to the upstream broker, with the QoS that the device chose.
//!
//! ```text
//!  spool::Queue ─ read ─▶ session ─▶ inflight ─▶ wire ─▶ outbox ─▶ transport ─▶ upstream
//!        ▲                   │       (ids, window, (rumqttc's  (one write,   (TCP, TLS)
//!        └──── complete ◀────┘        QoS 1 and 2)  codecs)     many packets)
//! ```
//!
//! - One task for each upstream owns its socket, its exchanges and its place in the spool: no locks, no hand-over.
//! - An entry is complete when the upstream has it: written at QoS 0, PUBACK at QoS 1, PUBCOMP at QoS 2. Until then it stays
//!   in the spool, so that nothing in here needs to survive anything.
//! - The connection may end at any moment. With the session kept, exchanges go on where they were (`inflight`); without it
//!   they begin again from the spool, and QoS 2 that may now arrive twice is counted.
//! - The server sets terms (Receive Maximum, Maximum QoS, Maximum Packet Size, ...), and they are kept (`link::Terms`).
//!
//! [`prepare`] reads files and finds their mistakes before anything starts; [`start`] runs; [`probe`] is for `tidegate check`.

mod backoff;
mod client;
mod inflight;
mod keepalive;
mod link;
mod link_error;
mod outbox;
mod prepare;
mod secret;
mod session;
mod status;
mod throttle;
mod tls;
mod transport;
mod wire;

pub use client::{probe, start};
pub use link_error::LinkError;
pub use prepare::{Error, Prepared, prepare};
pub use status::UpstreamStatus;
