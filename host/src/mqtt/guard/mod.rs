//! Walks CONNECT, SUBSCRIBE and UNSUBSCRIBE strictly by the specification before rumqttd's decoder sees them.
//!
//! That decoder panics on some packets, accepts others that the specification refuses (packet identifier 0, trailing
//! bytes, U+0000, repeated properties) and trusts lengths that it has not checked. What passes the guard is a packet
//! that it decodes; a test holds it to that. The other packets are shorter to read than to guard, and never reach it.

mod connect;
mod subscribe;

pub(super) use connect::{Credentials, connect, version};
pub(super) use subscribe::{subscribe, unsubscribe};
