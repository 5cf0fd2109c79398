//! The device side, in the order a byte meets it: [`listener`], [`connection`], `mqtt`, [`handshake`], [`registry`],
//! [`session`].

pub mod addresses;
pub mod connection;
pub mod door;
pub mod handshake;
pub mod identities;
pub mod listener;
pub mod peer;
mod proxy;
pub mod registry;
pub mod session;
mod shutdown;
mod stored;
mod strict_utf8;
pub mod tls;
pub mod websocket;
pub mod wills;

pub use shutdown::Shutdown;
