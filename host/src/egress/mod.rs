//! From the spool to the upstream broker, with the QoS that the device chose.
//!
//! ```text
//!  spool::Queue ─ read ─▶ session ─▶ mqtt::sender ─▶ mqtt::client ─▶ outbox ─▶ transport ─▶ upstream
//!        │                   │       (ids, window,   (rumqttc's    (one write,   (TCP, TLS)
//!      ▲ └── confirmed ─────▶│        QoS 1 and 2)    codecs)       many packets)
//!      └─ mark, complete ◀───┘
//! ```
//!
//! - One task for each upstream owns its socket, its exchanges and its place in the spool: no locks, no hand-over.
//! - An entry is complete when the upstream has it: written at QoS 0, PUBACK at QoS 1, PUBCOMP at QoS 2; what was lowered to QoS 0, when a
//!   PINGREQ behind it is answered. Until then it stays
//!   in the spool, and what must survive of an exchange is in there too, so that nothing in here needs to survive anything.
//! - The connection may end at any moment. With the session kept, exchanges go on where they were (`mqtt::sender`); without it
//!   they begin again from the spool, and QoS 2 that may now arrive twice is counted.
//! - An upstream may have several addresses: the next one is tried when one fails (`round`), and the first is gone back to when it
//!   answers again (`failback`). There is one connection at a time, and one session: that of the last address that let us in.
//! - An ack that does not come ends the connection (`ack_watch`); what the server refuses is tried again or kept as a dead letter
//!   (`refusals`, `undelivered`); a message on which it closes is found and kept as one (`isolation`).
//! - What a server sends us, because it is subscribed to, is taken over by `subscriber`, which acknowledges what is on disk.
//! - The server sets terms (Receive Maximum, Maximum QoS, Maximum Packet Size, ...), and they are kept (`link::Terms`).
//!
//! [`prepare`] reads files and finds their mistakes before anything starts; [`start`] runs; [`probe`] is for `tidegate check`.

mod ack_watch;
mod backoff;
mod client;
mod failback;
mod isolation;
mod keepalive;
mod link;
mod link_error;
mod mqtt;
mod operator;
mod outbox;
mod prepare;
mod refusals;
mod reload;
mod resolve;
mod rivals;
mod round;
mod session;
mod status;
mod subscriber;
mod tls;
mod tls_error;
mod transport;
mod troubles;
mod unasked;
mod undelivered;

#[cfg(test)]
pub(crate) use client::start_with;
pub use client::{Probed, Running, probe, start};
pub use link_error::LinkError;
pub use operator::{Operator, Skipped};
pub use prepare::{Endpoint, Error, Prepared, prepare};
pub use status::{Trouble, UpstreamStatus};
pub use subscriber::Inbox;
#[cfg(test)]
pub(crate) use transport::{Dial, Transport};
pub use undelivered::{DeadLetters, Undelivered};
