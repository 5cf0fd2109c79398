//! `[broker]`: where devices connect, and what they may make the gateway hold.

use super::{limits, listener};
use crate::config::checked::{Broker, BrokerLimits};
use crate::config::raw::Table;

pub fn check(table: &Table<'_>) -> Broker {
    let listeners = listener::check_all(table);
    let limits = limits::broker(&table.table("limits"));
    let strict_utf8 = table.flag("strict_utf8").unwrap_or(limits.strict_utf8);
    let limits = BrokerLimits { strict_utf8, ..limits };
    table.finish();
    Broker { listeners, limits }
}
