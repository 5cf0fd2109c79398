//! `[broker]`: where devices connect, and what they may make the gateway hold.

use std::time::Duration;

use super::{limits, listener};
use crate::config::checked::{Broker, BrokerLimits};
use crate::config::defaults;
use crate::config::problem::Problem;
use crate::config::raw::Table;

/// More often, and they tell more of themselves than of the gateway; more rarely, and nobody sees them.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
const LONGEST_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

pub fn check(table: &Table<'_>) -> Broker {
    let listeners = listener::check_all(table);
    let limits = limits::broker(&table.table("limits"));
    let strict_utf8 = table.flag("strict_utf8").unwrap_or(limits.strict_utf8);
    let limits = BrokerLimits { strict_utf8, ..limits };
    let sys_interval = sys_interval(table);
    table.finish();
    Broker { listeners, limits, sys_interval }
}

/// None: never.
fn sys_interval(table: &Table<'_>) -> Option<Duration> {
    let interval = table.duration("sys_interval", Duration::ZERO..=LONGEST_INTERVAL).unwrap_or(defaults::SYS_INTERVAL);
    if interval > Duration::ZERO && interval < SHORTEST_INTERVAL {
        let span = table.value("sys_interval").map_or_else(|| table.span(), |(_, span)| span);
        let advice = "write `sys_interval = \"10s\"`, at least \"1s\", or \"0s\" for no `$SYS` topics";
        table.add(Problem::error(span, "`sys_interval` is shorter than a second").advice(advice));
    }
    (interval > Duration::ZERO).then_some(interval)
}
