//! `[upstreams.NAME]`: a broker that messages are forwarded to.

use std::path::PathBuf;
use std::time::Duration;

use super::{addresses, limits::LONGEST_SESSION, name, spool, subscribe, upstream_tls};
use crate::config::checked::{Refused, Upstream};
use crate::config::defaults;
use crate::config::ids::UpstreamId;
use crate::config::problem::Problem;
use crate::config::raw::{Placed, Table};
use crate::config::similar::did_you_mean;
use crate::mqtt::Version;

const SECOND: Duration = Duration::from_secs(1);
/// MQTT counts keep-alive in seconds, in 16 bits (section 3.1.2.10).
const LONGEST_KEEP_ALIVE: Duration = Duration::from_secs(18 * 60 * 60);
/// Longer, and what is not acknowledged waits as long as an outage.
const LONGEST_ACK_TIMEOUT: Duration = Duration::from_secs(60 * 60);
/// Longer, and it is a decision for a person.
const LONGEST_FAILBACK: Duration = Duration::from_secs(24 * 60 * 60);

const REFUSED: [(&str, Refused); 3] =
    [("dead-letter", Refused::DeadLetter), ("drop", Refused::Drop), ("retry", Refused::Retry)];

/// All names in the order of the file, and the upstreams that have no problem.
pub fn check_all<'a>(root: &Table<'a>, gateway: &str) -> (Vec<Placed<&'a str>>, Vec<Upstream>) {
    let (mut names, mut upstreams) = (Vec::new(), Vec::new());
    for (name, table) in root.named("upstreams") {
        name::check(&table, &name);
        let upstream = check(&table, name.get_ref(), gateway);
        if let Some(other) = upstream.as_ref().and_then(|one| same_client(one, &upstreams)) {
            let sentence = format!("this upstream is the same client of the same broker as `{}`", other.name);
            let advice = "they would take each other's session over for ever: give one of them another `client_id`";
            table.add(Problem::error(table.span(), sentence).advice(advice));
        }
        upstreams.extend(upstream);
        table.finish();
        names.push(name);
    }
    (names, upstreams)
}

fn same_client<'a>(one: &Upstream, others: &'a [Upstream]) -> Option<&'a Upstream> {
    let meets = |other: &Upstream| other.addresses.iter().any(|address| addresses::contain(&one.addresses, address));
    others.iter().find(|other| other.client_id == one.client_id && meets(other))
}

/// The one that a binding names.
pub fn find(table: &Table<'_>, name: &Placed<&str>, all: &[Placed<&str>]) -> Option<UpstreamId> {
    let known: Vec<&str> = all.iter().map(|name| *name.get_ref()).collect();
    let found = known.iter().position(|known| known == name.get_ref());
    if found.is_none() {
        let advice = did_you_mean(name.get_ref(), &known, "this file has no `[upstreams.NAME]` table yet");
        let sentence = format!("there is no upstream `{}`", name.get_ref());
        table.add(Problem::error(name.span(), sentence).advice(advice));
    }
    found.map(UpstreamId)
}

/// A name that CONNECT can carry: two bytes say its length, and it has no NUL (MQTT 5, section 1.5.4).
fn name_for_connect(table: &Table<'_>, key: &'static str) -> Option<String> {
    let typed = table.text(key)?;
    if typed.get_ref().len() > usize::from(u16::MAX) {
        let sentence = format!("`{key}` is longer than 65,535 bytes, which no CONNECT can carry");
        table.add(
            Problem::error(typed.span(), sentence).advice("use a shorter one; brokers often allow 23 characters only"),
        );
    }
    if typed.get_ref().contains('\0') {
        let sentence = format!("`{key}` has the character NUL, which no text of MQTT may have");
        table.add(Problem::error(typed.span(), sentence).advice("write it without `\\u0000`"));
    }
    Some((*typed.get_ref()).to_owned())
}

fn client_id(table: &Table<'_>) -> Option<String> {
    let client_id = name_for_connect(table, "client_id")?;
    if client_id.is_empty()
        && let Some((_, span)) = table.value("client_id")
    {
        let sentence =
            "`client_id` is empty: the server would give us another one, and another session, with each connection";
        table.add(Problem::error(span, sentence).advice("name this client, or leave `client_id` out"));
    }
    Some(client_id)
}

fn check(table: &Table<'_>, name: &str, gateway: &str) -> Option<Upstream> {
    let addresses = addresses::check(table);
    let protocol = protocol(table);
    let tls = upstream_tls::check(table, addresses.first());
    let (username, password_file) = credentials(table, protocol);
    let client_id = client_id(table);
    let second_up = |key, longest, default| table.duration(key, SECOND..=longest).unwrap_or(default);
    let max_inflight = table.number("max_inflight", 1..=u16::MAX).unwrap_or(defaults::MAX_INFLIGHT);
    let keep_alive = second_up("keep_alive", LONGEST_KEEP_ALIVE, defaults::KEEP_ALIVE);
    let connect_timeout = second_up("connect_timeout", Duration::from_secs(600), defaults::CONNECT_TIMEOUT);
    let session_expiry = second_up("session_expiry", LONGEST_SESSION, defaults::SESSION_EXPIRY);
    let failback = second_up("failback", LONGEST_FAILBACK, defaults::FAILBACK);
    let ack_timeout = second_up("ack_timeout", LONGEST_ACK_TIMEOUT, defaults::ACK_TIMEOUT);
    let refused = spool::one_of(table, "refused", &REFUSED).unwrap_or_default();
    let subscribe = subscribe::check(table, protocol, gateway);
    if addresses.is_empty() {
        return None;
    }
    Some(Upstream {
        name: name.to_owned(),
        addresses,
        tls,
        protocol,
        is_client_id_ours: client_id.is_none(),
        // With the upstream's name: two upstreams that are one broker must not take each other's session over.
        client_id: client_id.unwrap_or_else(|| format!("tidegate-{gateway}-{name}")),
        username,
        password_file,
        max_inflight,
        keep_alive,
        connect_timeout,
        session_expiry,
        failback,
        ack_timeout,
        refused,
        subscribe,
    })
}

fn protocol(table: &Table<'_>) -> Version {
    let Some((value, span)) = table.value("protocol") else { return Version::V5 };
    match value.as_integer().map(|number| number.as_str()) {
        Some("4") => return Version::V311,
        Some("5") => {}
        _ => table.add(
            Problem::error(span, "`protocol` must be 4 or 5")
                .advice("`protocol = 5` is MQTT 5, `protocol = 4` is MQTT 3.1.1"),
        ),
    }
    Version::V5
}

fn credentials(table: &Table<'_>, protocol: Version) -> (Option<String>, Option<PathBuf>) {
    let username = name_for_connect(table, "username");
    let password_file = table.file("password_file", "the first line of that file is the password");
    if let (Some((_, span)), None, Version::V311) = (table.value("password_file"), &username, protocol) {
        // 3.1.1 [MQTT-3.1.2-22]; MQTT 5 allows it.
        let sentence = "MQTT 3.1.1 sends a password only with a user name";
        table.add(Problem::error(span, sentence).advice("add `username`, or use `protocol = 5`"));
    }
    (username, password_file)
}
