//! `[dead_letters]`: how much is kept of what plugins failed on, and for how long.

use std::time::Duration;

use bytesize::ByteSize;

use crate::config::checked::DeadLetters;
use crate::config::raw::Table;

/// Four segments of 1 MiB, which hold the largest packet of the default limits.
const SIZES: std::ops::RangeInclusive<ByteSize> = ByteSize::mib(4)..=ByteSize::tib(1);
/// From a minute, which is how often age is looked at, to ten years.
const AGES: std::ops::RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(10 * 31_557_600);

pub fn check(table: &Table<'_>) -> DeadLetters {
    let default = DeadLetters::default();
    let letters = DeadLetters {
        max_bytes: table.size("max_bytes", SIZES).map_or(default.max_bytes, |size| size as u64),
        max_age: table.duration("max_age", AGES).unwrap_or(default.max_age),
    };
    table.finish();
    letters
}
