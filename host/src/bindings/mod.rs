//! Which bindings a message meets, and what becomes of it.
//!
//! ```text
//! receive ─▶ local bus
//!         └▶ table: which bindings match ─▶ a place in each lane ─▶ chains ─▶ gather ─▶ route ─▶  spool
//!                                                                  (worker threads)   (file order)  └▶ republish
//! ```
//!
//! Several bindings may match one message. Their chains run side by side; [`gather`] waits for all, so that everything that
//! one input caused reaches the spool as one record, in the order of the configuration file. That includes what the message
//! did locally: retained messages, deliveries to sessions that survive a restart, its QoS 2 identity. The ack waits for it.
//!
//! Where plugins remember something, records are written in the order in which they saw their messages ([`order`]); [`ticks`] is the
//! clock of those that have one.

mod account;
mod cache;
mod caused;
mod counts;
mod dispatcher;
mod gather;
mod internal;
mod letter;
mod letter_limit;
mod order;
mod outcome;
mod parked;
mod places;
mod republish;
mod requeue;
mod route;
mod table;
#[cfg(test)]
mod tests;
pub mod ticks;
mod traced;
mod unfinished;

pub use dispatcher::{Dispatcher, Pending};
pub use parked::Parked;
pub use requeue::Archiver;
pub use route::{Inbound, Routed, route, route_tick};
pub use table::{Binding, Table};

/// How often a message may be republished locally. Three stages of refinement are common, eight are a loop.
pub const MAX_HOPS: u8 = 8;
