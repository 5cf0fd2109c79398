//! The admin socket: how a command on this machine asks a running gateway for something.
//!
//! `admin.sock` in the data folder, for the gateway's user only (0600). One JSON object a line, one line back:
//!
//! ```text
//! {"command":"requeue","filter":{"binding":"temperature"}}
//! {"ok":{"dead_letters":3}}             or {"error":"…"}
//! ```
//!
//! A tap has a line for each step of a message, until one of the two ends it.
//!
//! Only what needs the running process goes this way. What can be read is read from the files, so that it works as well
//! when the gateway is stopped, or stuck.

pub mod client;
mod request;
mod server;
mod socket;
mod tap;

pub use request::{Request, Response};
pub use server::{State, start};
