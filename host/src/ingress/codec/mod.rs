//! From bytes to packets and back, for both protocol versions.

mod packet;
mod reason;

pub use packet::*;
pub use reason::Reason;
