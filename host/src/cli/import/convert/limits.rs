//! `[broker.limits]`.

use crate::cli::import::draft::{Table, quoted};
use crate::cli::import::line::{Line, Said};
use crate::cli::import::outline::Outline;
use crate::cli::import::section::Section;

const KIB: i64 = 1024;
/// What fits into a segment of the spool and into a dead letter with their default sizes; more needs `[spool] max_bytes` and
/// `[dead_letters] max_bytes` to be raised with it.
const LARGEST_PACKET: i64 = 10 * KIB * KIB;
/// Topic and properties beside a payload of `message_size_limit`.
const BESIDE_A_PAYLOAD: i64 = 4 * KIB;
/// Where `config/check/limits.rs` ends.
const MANY: i64 = 10_000_000;
/// As many as `[spool] max_state_bytes` has room for by default.
const MOST_SESSIONS: i64 = 28_000;
const LONGEST_DAYS: u64 = 36_500;
/// A window that is not limited.
const WIDEST_WINDOW: i64 = u16::MAX as i64;

pub fn table<'a>(outline: &Outline<'a>) -> Option<Table<'a>> {
    let broker = &outline.broker;
    let mut table = Table::new("[broker.limits]", None);
    connections(outline, &mut table);
    packet_size(broker, &mut table);
    if let Some(said) = window(outline) {
        table.add("receive_maximum", said.value.to_string(), Some(said.line));
    }
    queued(broker, &mut table);
    if let Some(said) = broker.number("global_max_clients").and_then(|said| bounded(said, 1, MOST_SESSIONS)) {
        table.add("max_sessions", said.value.to_string(), Some(said.line));
    }
    if let Some((value, line)) = broker.word(&["persistent_client_expiration"]).and_then(|said| expiry(&said)) {
        table.add("max_session_expiry", quoted(&value), Some(line));
    }
    (!table.entries.is_empty()).then_some(table)
}

/// `max_inflight_messages`, of devices and of upstreams.
pub fn window<'a>(outline: &Outline<'a>) -> Option<Said<'a, i64>> {
    let said = outline.broker.number("max_inflight_messages")?;
    let value = if said.value <= 0 { WIDEST_WINDOW } else { said.value };
    bounded(Said { value, ..said }, 1, WIDEST_WINDOW)
}

/// One cap for all listeners; mosquitto has one for each, and in 2.1 one for all, too.
fn connections<'a>(outline: &Outline<'a>, table: &mut Table<'a>) {
    let all = outline.broker.number("global_max_connections").filter(|said| said.value >= 0);
    let each: Vec<Option<Said<'a, i64>>> =
        outline.listeners.iter().map(|listener| listener.settings.number("max_connections")).collect();
    let given: Vec<&Said<'a, i64>> = each.iter().flatten().filter(|said| said.value >= 0).collect();
    if let Some(said) = all.and_then(|said| bounded(said, 1, MANY)) {
        table.add("max_connections", said.value.to_string(), Some(said.line));
        leave_each(&given, "`global_max_connections` is the cap here");
    } else if given.is_empty() || given.len() < each.len() {
        leave_each(&given, "there is one cap for all listeners, and others have none");
    } else {
        let sum = given.iter().fold(0_i64, |sum, said| sum.saturating_add(said.value)).clamp(1, MANY);
        table.add("max_connections", sum.to_string(), given.iter().map(|said| said.line));
        if given.len() > 1 {
            table.note("There is one cap for all listeners: this is the sum.");
        }
    }
    let unlimited = each.iter().flatten().filter(|said| said.value < 0);
    unlimited.for_each(|said| said.line.needless("there is no cap but the file descriptors that the gateway may have"));
}

fn leave_each(given: &[&Said<'_, i64>], why: &str) {
    given.iter().for_each(|said| said.line.leave(why, "choose `max_connections` in [broker.limits]"));
}

fn packet_size<'a>(broker: &Section<'a>, table: &mut Table<'a>) {
    let packet = broker.number("max_packet_size");
    let payload = broker.number("message_size_limit");
    // 0 is no limit.
    let payload = match payload {
        Some(said) if said.value <= 0 => {
            leave_unlimited(said.line, "max_packet_size");
            None
        }
        payload => payload.map(|said| Said { value: said.value.saturating_add(BESIDE_A_PAYLOAD), ..said }),
    };
    let smaller = packet.into_iter().chain(payload).min_by_key(|said| said.value);
    if let Some(said) = smaller.and_then(|said| bounded(said, KIB, LARGEST_PACKET)) {
        let of_payload = said.line.keyword == "message_size_limit";
        table.add("max_packet_size", quoted(&size(said.value)), Some(said.line));
        if of_payload {
            table.note("It counts topic and properties, too: 4 KiB are added. Who sends more is disconnected.");
        }
    }
}

fn queued<'a>(broker: &Section<'a>, table: &mut Table<'a>) {
    for keyword in ["max_queued_messages", "max_queued_bytes"] {
        let Some(said) = broker.number(keyword) else { continue };
        if said.value <= 0 {
            leave_unlimited(said.line, keyword);
            continue;
        }
        match keyword {
            "max_queued_messages" => {
                if let Some(said) = bounded(said, 1, MANY) {
                    table.add("max_queued_messages", said.value.to_string(), Some(said.line));
                }
            }
            _ => {
                if let Some(said) = bounded(said, KIB, 1 << 40) {
                    table.add("max_queued_bytes", quoted(&size(said.value)), Some(said.line));
                }
            }
        }
    }
}

fn leave_unlimited(line: &Line, key: &str) {
    let todo = format!("raise `{key}` in [broker.limits] if its default is too little");
    line.leave("there is always a cap", todo);
}

/// `2m`, where `m` is a month.
fn expiry<'a>(said: &Said<'a, &'a str>) -> Option<(String, &'a Line)> {
    let refuse = || said.line.leave("mosquitto refuses this value", "write a number and one of h, d, w, m, y");
    let unit = said.value.chars().last()?;
    let Some(number) = said.value.strip_suffix(unit).and_then(|number| number.parse::<u64>().ok()).filter(|n| *n > 0)
    else {
        refuse();
        return None;
    };
    let days = match unit {
        'h' => return hours(number, said),
        'd' => 1,
        'w' => 7,
        'm' => 30,
        'y' => 365,
        _ => {
            refuse();
            return None;
        }
    };
    let days = number.saturating_mul(days);
    if days > LONGEST_DAYS {
        said.line.leave("a session is kept for a hundred years at most", "nothing: that is what is written");
    }
    Some((format!("{}days", days.min(LONGEST_DAYS)), said.line))
}

fn hours<'a>(number: u64, said: &Said<'a, &'a str>) -> Option<(String, &'a Line)> {
    Some((format!("{}h", number.min(LONGEST_DAYS * 24)), said.line))
}

/// With the line named when the value is not taken as it is.
fn bounded(said: Said<'_, i64>, least: i64, most: i64) -> Option<Said<'_, i64>> {
    let value = said.value.clamp(least, most);
    if value != said.value {
        let why = format!("{value} is written for it: it can be from {least} to {most} here");
        said.line.leave(why, "see docs/from-mosquitto.md if that is not enough");
    }
    Some(Said { value, line: said.line })
}

fn size(bytes: i64) -> String {
    match bytes {
        bytes if bytes % (KIB * KIB) == 0 => format!("{}MiB", bytes / KIB / KIB),
        bytes if bytes % KIB == 0 => format!("{}KiB", bytes / KIB),
        bytes => format!("{bytes}B"),
    }
}
