//! Caps. Each has a smallest value that still works and a largest one that is still a cap.

use std::num::NonZeroU32;
use std::time::Duration;

use bytesize::ByteSize;

use crate::config::MAX_STATE_TOTAL;
use crate::config::checked::{BrokerLimits, PluginLimits};
use crate::config::raw::Table;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// A hundred years. The MQTT 5 Session Expiry Interval counts seconds in 32 bits, a third more.
pub const LONGEST_SESSION: Duration = Duration::from_secs(100 * 31_557_600);
/// A packet has at most 268,435,455 bytes after its fixed header (section 2.1.4).
const LARGEST_PACKET: ByteSize = ByteSize::mib(256);
/// Counts beyond this are no cap on any gateway.
const MANY: usize = 10_000_000;
/// A rate beyond this is none, for one client or address.
const FAST: u32 = 1_000_000;

pub fn broker(table: &Table<'_>) -> BrokerLimits {
    let default = BrokerLimits::default();
    let count = |key, default| table.number(key, 1..=MANY).unwrap_or(default);
    let bytes = |key, default| table.size(key, ByteSize::kib(1)..=ByteSize::tib(1)).unwrap_or(default);
    let limits = BrokerLimits {
        max_connections: table.number("max_connections", 1..=MANY),
        max_connections_per_address: table.number("max_connections_per_address", 1..=MANY),
        max_new_connections_per_second: table.number("max_new_connections_per_second", 1..=FAST),
        max_messages_per_second: table.number("max_messages_per_second", 1..=FAST).and_then(NonZeroU32::new),
        max_bytes_per_second: bytes_per_second(table),
        memory: bytes("memory", default.memory),
        max_packet_size: table
            .size("max_packet_size", ByteSize::kib(1)..=LARGEST_PACKET)
            .unwrap_or(default.max_packet_size),
        handshake_timeout: table
            .duration("handshake_timeout", SECOND..=10 * MINUTE)
            .unwrap_or(default.handshake_timeout),
        receive_maximum: table.number("receive_maximum", 1..=u16::MAX).unwrap_or(default.receive_maximum),
        max_queued_messages: count("max_queued_messages", default.max_queued_messages),
        max_queued_bytes: bytes("max_queued_bytes", default.max_queued_bytes),
        max_queued_bytes_total: bytes("max_queued_bytes_total", default.max_queued_bytes_total),
        max_subscriptions_per_client: count("max_subscriptions_per_client", default.max_subscriptions_per_client),
        max_sessions: count("max_sessions", default.max_sessions),
        max_session_expiry: table
            .duration("max_session_expiry", Duration::ZERO..=LONGEST_SESSION)
            .unwrap_or(default.max_session_expiry),
        max_retained_messages: count("max_retained_messages", default.max_retained_messages),
        max_retained_bytes: bytes("max_retained_bytes", default.max_retained_bytes),
        strict_utf8: default.strict_utf8,
    };
    table.finish();
    limits
}

/// Slower than the smallest, a packet of the usual size takes minutes.
fn bytes_per_second(table: &Table<'_>) -> Option<NonZeroU32> {
    let bytes = table.size("max_bytes_per_second", ByteSize::kib(1)..=ByteSize::gib(1))?;
    u32::try_from(bytes).ok().and_then(NonZeroU32::new)
}

pub fn plugin(table: &Table<'_>) -> PluginLimits {
    let default = PluginLimits::default();
    let limits = PluginLimits {
        // From one 64 KiB page of WebAssembly to all that 32 bits address.
        memory: table.size("memory", ByteSize::kib(64)..=ByteSize::gib(4)).unwrap_or(default.memory),
        deadline: table.duration("deadline", Duration::from_millis(1)..=MINUTE).unwrap_or(default.deadline),
        start_deadline: table
            .duration("start_deadline", Duration::from_millis(1)..=MINUTE)
            .unwrap_or(default.start_deadline),
        max_outputs: table.number("max_outputs", 1..=100_000).unwrap_or(default.max_outputs),
        max_output_bytes: table
            .size("max_output_bytes", ByteSize::b(1)..=ByteSize::gib(1))
            .unwrap_or(default.max_output_bytes),
        state: table.size("state", ByteSize::kib(1)..=ByteSize::b(MAX_STATE_TOTAL as u64)).unwrap_or(default.state),
        state_per_second: table
            .size("state_per_second", ByteSize::kib(1)..=ByteSize::gib(1))
            .unwrap_or(default.state_per_second),
        max_item_bytes: table.size("max_item_bytes", ByteSize::b(1)..=LARGEST_PACKET).unwrap_or(default.max_item_bytes),
        max_table_entries: table.number("max_table_entries", 1..=MANY).unwrap_or(default.max_table_entries),
        log_per_second: table.number("log_per_second", 1..=1_000).unwrap_or(default.log_per_second),
        // Room for the mark that something was cut.
        max_log_bytes: table
            .size("max_log_bytes", ByteSize::b(16)..=ByteSize::kib(64))
            .unwrap_or(default.max_log_bytes),
    };
    table.finish();
    limits
}
