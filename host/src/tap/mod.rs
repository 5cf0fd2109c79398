//! What becomes of messages, told while it happens to an operator who asks (`tidegate tap FILTER --why`).
//!
//! ```text
//!  dispatcher ─▶ Taps::begin ─▶ Trace, in the message's `Origin` ─▶ chain, route, spool, sender: each tells its Step ─▶ Tap ─▶ admin socket
//! ```
//!
//! - **Off by default.** A tap is open while its operator listens. Otherwise a message costs one relaxed load where it comes in, a batch one at
//!   each plugin.
//! - **Bounded.** [`MOST_TAPS`] taps, so many new messages a second of each; what waits for its reader has [`MOST_LINES`] lines and
//!   [`MOST_BYTES`]. Beyond that lines are lost and counted: no message waits for who looks at it.
//! - **What is redacted stays so.** Where a message meets a plugin that must not be left out, its payload is not shown before that plugin had it.
//!
//! Not here: who may look. That is who may open the admin socket.

mod payload;
mod step;
mod taps;
mod trace;

pub use payload::Payload;
pub use step::{Line, Made, Step, Verdict};
pub use taps::{MAX_RATE, MAX_SECONDS, MOST_TAPS, Taps, Wanted, Watching, is_on};
pub use trace::Trace;

/// Lines of one tap that wait to be read.
const MOST_LINES: usize = 512;

/// Bytes of them.
const MOST_BYTES: usize = 4 << 20;
