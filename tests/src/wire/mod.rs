//! MQTT packets as bytes, written and read without any of the code under test.
//!
//! Building does not check anything: what a test asks for is what goes out, also when the specification forbids it.

pub mod build;
pub mod connect;
pub mod properties;
pub mod read;

pub use build::{Publish, ack, packet, publish, subscribe, unsubscribe};
pub use connect::{Connect, Will};
pub use properties::{Properties, id};
pub use read::{Cursor, Delivered, Packet};

/// Protocol version; the number is the level byte of CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    V4 = 4,
    V5 = 5,
}

pub use Version::{V4, V5};

pub const CONNECT: u8 = 1;
pub const CONNACK: u8 = 2;
pub const PUBLISH: u8 = 3;
pub const PUBACK: u8 = 4;
pub const PUBREC: u8 = 5;
pub const PUBREL: u8 = 6;
pub const PUBCOMP: u8 = 7;
pub const SUBSCRIBE: u8 = 8;
pub const SUBACK: u8 = 9;
pub const UNSUBSCRIBE: u8 = 10;
pub const UNSUBACK: u8 = 11;
pub const PINGREQ: u8 = 12;
pub const PINGRESP: u8 = 13;
pub const DISCONNECT: u8 = 14;

/// Whole packets that never change.
pub const PING: &[u8] = b"\xC0\0";
pub const GOODBYE: &[u8] = b"\xE0\0";
