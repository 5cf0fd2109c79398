//! `broker.limits`: those that a connection takes with it when it begins, and those that something is divided by at the start.

use super::Plan;
use crate::config::checked::{BrokerLimits, Config};

/// Where they are divided.
const STATE: &str = "it has a part of `[spool] max_state_bytes`, which is divided at the start";

/// The names of these limits that differ.
macro_rules! differing {
    ($running:expr, $wanted:expr, $($limit:ident),* $(,)?) => {{
        let mut names: Vec<&'static str> = Vec::new();
        $(if $running.$limit != $wanted.$limit { names.push(stringify!($limit)); })*
        names
    }};
}

/// The running ones with these of the wanted.
macro_rules! with {
    ($running:expr, $wanted:expr, $($limit:ident),* $(,)?) => {
        BrokerLimits { $($limit: $wanted.$limit,)* ..$running.clone() }
    };
}

/// Calls a macro with the limits that connections take with them.
macro_rules! of_connections {
    ($call:ident, $running:expr, $wanted:expr) => {
        $call!(
            $running,
            $wanted,
            max_connections_per_address,
            max_new_connections_per_second,
            max_messages_per_second,
            max_bytes_per_second,
            handshake_timeout,
            receive_maximum,
            max_subscriptions_per_client,
            max_session_expiry,
            strict_utf8,
        )
    };
}

pub fn compare(running: &Config, wanted: &Config, plan: &mut Plan) {
    let (running, wanted) = (&running.broker.limits, &wanted.broker.limits);
    if running == wanted {
        return plan.unchanged("broker.limits");
    }
    for name in of_connections!(differing, running, wanted) {
        // This one is no limit, and stands elsewhere in the file.
        let what = if name == "strict_utf8" { "broker.strict_utf8".to_owned() } else { path(name) };
        plan.now(what, "changed for who connects from now on");
    }
    for (name, why) in at_start(running, wanted) {
        plan.restart(path(name), why);
    }
}

pub fn taken_over(running: &BrokerLimits, wanted: &BrokerLimits) -> BrokerLimits {
    of_connections!(with, running, wanted)
}

fn at_start(running: &BrokerLimits, wanted: &BrokerLimits) -> Vec<(&'static str, &'static str)> {
    let because = |why: &'static str| move |name| (name, why);
    let descriptors = differing!(running, wanted, max_connections).into_iter();
    let account = differing!(running, wanted, memory).into_iter();
    let segments = differing!(running, wanted, max_packet_size).into_iter();
    let state = differing!(
        running,
        wanted,
        max_queued_messages,
        max_queued_bytes,
        max_queued_bytes_total,
        max_sessions,
        max_retained_messages,
        max_retained_bytes,
    );
    descriptors
        .map(because("file descriptors are set aside for it at the start"))
        .chain(account.map(because("the account of what clients hold is opened at the start")))
        .chain(segments.map(because("the segments of the spool and of the archive have room for it from the start")))
        .chain(state.into_iter().map(because(STATE)))
        .collect()
}

fn path(name: &str) -> String {
    format!("broker.limits.{name}")
}
