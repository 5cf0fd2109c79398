//! `[spool]`: what is kept for an upstream that is away.

use bytesize::ByteSize;

use crate::control::config::checked::Spool;
use crate::control::config::raw::Table;

const MANY: usize = 1_000_000_000;

pub fn check(table: &Table<'_>) -> Spool {
    let default = Spool::default();
    let spool = Spool {
        max_messages: table.number("max_messages", 1..=MANY).unwrap_or(default.max_messages),
        // Less than a mebibyte would not hold a few of the largest packets.
        max_bytes: table.size("max_bytes", ByteSize::mib(1)..=ByteSize::tib(16)).unwrap_or(default.max_bytes),
        max_qos0_messages: table.number("max_qos0_messages", 1..=MANY).unwrap_or(default.max_qos0_messages),
    };
    table.finish();
    spool
}
