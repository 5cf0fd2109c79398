//! `retry` and `breaker` of a binding: what is tried before its `on_error`.

use std::time::Duration;

use crate::config::checked::{BreakerLimits, FaultPolicy, Retry};
use crate::config::raw::Table;

const MILLISECOND: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// The binding's other messages wait for the last attempt, so that their order holds.
const MOST_ATTEMPTS: u32 = 10;

/// The breaker keeps the time of each.
const MOST_FAULTS: usize = 10_000;

pub fn check(binding: &Table<'_>) -> FaultPolicy {
    FaultPolicy {
        retry: retry(&binding.table("retry")),
        breaker: breaker(&binding.table("breaker")),
        ..FaultPolicy::default()
    }
}

fn retry(table: &Table<'_>) -> Retry {
    let default = Retry::default();
    let retry = Retry {
        attempts: table.number("attempts", 1..=MOST_ATTEMPTS).unwrap_or(default.attempts),
        backoff: table.duration("backoff", MILLISECOND..=MINUTE).unwrap_or(default.backoff),
    };
    table.finish();
    retry
}

fn breaker(table: &Table<'_>) -> BreakerLimits {
    let default = BreakerLimits::default();
    let open_for = table.renamed("rest", "open_for");
    let breaker = BreakerLimits {
        faults: table.number("faults", 1..=MOST_FAULTS).unwrap_or(default.faults),
        within: table.duration("within", MILLISECOND..=HOUR).unwrap_or(default.within),
        open_for: table.duration(open_for, MILLISECOND..=24 * HOUR).unwrap_or(default.open_for),
    };
    table.finish();
    breaker
}
