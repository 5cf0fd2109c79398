//! Between the chain and the upstreams: where the outcome of a message is kept until the upstream has it.
//!
//! Today the spool keeps it in memory. The one place where durability slots in is [`Spool::commit`]: a record's
//! [`Receipt`] is resolved when its outcome is safe, and the ack to the device follows from the receipt alone.

mod receipt;

pub use receipt::Receipt;
