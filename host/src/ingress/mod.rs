//! The device side: listener, codec and session.

pub mod codec;
