//! `[dead_letters]`: how much is kept of what plugins failed on, and for how long.

use std::time::Duration;

use bytesize::ByteSize;

use crate::config::checked::DeadLetters;
use crate::config::problem::Problem;
use crate::config::raw::Table;

/// Four segments of 1 MiB, which hold the largest packet of the default limits.
const SIZES: std::ops::RangeInclusive<ByteSize> = ByteSize::mib(4)..=ByteSize::tib(1);
/// From a minute, which is how often age is looked at, to ten years.
const AGES: std::ops::RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(10 * 31_557_600);

pub fn check(table: &Table<'_>, max_packet_size: usize) -> DeadLetters {
    let default = DeadLetters::default();
    let letters = DeadLetters {
        max_bytes: table.size("max_bytes", SIZES).map_or(default.max_bytes, |size| size as u64),
        max_age: table.duration("max_age", AGES).unwrap_or(default.max_age),
        max_message_bytes: max_packet_size as u64,
    };
    check_room(table, &letters);
    table.finish();
    letters
}

/// What was acknowledged and is too large for its letter would be lost, or stay in the spool for ever.
fn check_room(table: &Table<'_>, letters: &DeadLetters) {
    let wanted = DeadLetters::least_bytes(letters.max_message_bytes).div_ceil(1 << 20);
    if wanted << 20 <= letters.max_bytes {
        return;
    }
    let span = table.value("max_bytes").map_or_else(|| table.span(), |(_, span)| span);
    let sentence = "a message of `broker.limits.max_packet_size` has no room among the dead letters";
    let advice = format!("write `max_bytes = \"{wanted}MiB\"` in [dead_letters], or lower `max_packet_size`");
    table.add(Problem::error(span, sentence).advice(advice));
}
