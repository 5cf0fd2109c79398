//! `[spool]`: what is kept for upstreams that are away, and how safely.

use std::time::Duration;

use bytesize::ByteSize;

use crate::config::MAX_STATE_TOTAL;
use crate::config::checked::{BrokerLimits, Qos0, Spool, Sync, WhenFull};
use crate::config::problem::Problem;
use crate::config::raw::Table;

const MANY: usize = 1_000_000_000;
/// Four segments of 4 MiB, which hold the largest records of the default limits.
const SMALLEST: ByteSize = ByteSize::mib(16);
/// What plugins may have, and something beside it.
const SMALLEST_STATE: ByteSize = ByteSize::mib(17);
/// Of a session: what it is, some tens of subscriptions, the identities of what it sent at QoS 2.
const SESSION_BYTES: usize = 4 << 10;
/// As many as there were connections before these depended on the machine: a budget that had room for them has room still.
const FEWEST_SESSIONS: usize = 900;
/// Shorter than a sync takes on slow flash is no interval; a minute is a loss that nobody means.
const INTERVALS: std::ops::RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(60);

/// Below a second everything is too old before it is sent; a hundred years are never.
const AGES: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=super::limits::LONGEST_SESSION;

const WHEN_FULL: [(&str, WhenFull); 3] = [
    ("back-pressure", WhenFull::BackPressure),
    ("drop-oldest", WhenFull::DropOldest),
    ("drop-qos0-first", WhenFull::DropQos0First),
];
const QOS0: [(&str, Qos0); 2] = [("memory", Qos0::Memory), ("spool", Qos0::Spool)];

pub fn check(table: &Table<'_>) -> Spool {
    let default = Spool::default();
    let bytes = |size: Option<usize>, default: u64| size.map_or(default, |size| size as u64);
    Spool {
        max_bytes: bytes(table.size("max_bytes", SMALLEST..=ByteSize::tib(16)), default.max_bytes),
        max_state_bytes: bytes(
            table.size("max_state_bytes", SMALLEST_STATE..=ByteSize::tib(1)),
            default.max_state_bytes,
        ),
        free_floor: bytes(table.size("free_floor", ByteSize::b(0)..=ByteSize::tib(1)), default.free_floor),
        max_qos0_messages: table.number("max_qos0_messages", 1..=MANY).unwrap_or(default.max_qos0_messages),
        sync: sync(table).unwrap_or(default.sync),
        max_age: table.duration("max_age", AGES),
        when_full: one_of(table, "when_full", &WHEN_FULL).unwrap_or(default.when_full),
        qos0: one_of(table, "qos0", &QOS0).unwrap_or(default.qos0),
    }
}

/// When nothing is said of sessions, a smaller budget of the state has room for fewer of them.
pub fn fit_sessions(spool: &Spool, limits: &mut BrokerLimits) {
    let others = [limits.max_retained_bytes, limits.max_queued_bytes_total, MAX_STATE_TOTAL];
    let others = others.into_iter().fold(0_usize, usize::saturating_add) as u64;
    let room = spool.max_state_bytes.saturating_sub(others) / SESSION_BYTES as u64;
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    limits.max_sessions = room.clamp(FEWEST_SESSIONS, limits.max_sessions);
}

/// The caps on what is kept as state have to fit into its budget: what they allow is acknowledged, and never refused afterwards.
pub fn check_state(table: &Table<'_>, spool: &Spool, limits: &BrokerLimits) {
    let sessions = limits.max_sessions.saturating_mul(SESSION_BYTES);
    let parts = [limits.max_retained_bytes, limits.max_queued_bytes_total, sessions, MAX_STATE_TOTAL];
    let wanted = parts.into_iter().fold(0_usize, usize::saturating_add) as u64;
    if wanted <= spool.max_state_bytes {
        return;
    }
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    let span = table.value("max_state_bytes").map_or_else(|| table.span(), |(_, span)| span);
    let sentence = format!(
        "the caps of `broker.limits` allow {} MiB of state, and `max_state_bytes` is {} MiB",
        mib(wanted),
        mib(spool.max_state_bytes)
    );
    let advice = format!(
        "write `max_state_bytes = \"{}MiB\"` in [spool] if memory and disk have room for that, or lower `max_retained_bytes` ({} MiB), \
         `max_queued_bytes_total` ({} MiB) or `max_sessions` ({} MiB); plugins may have {} MiB",
        mib(wanted),
        mib(parts[0] as u64),
        mib(parts[1] as u64),
        mib(parts[2] as u64),
        mib(parts[3] as u64),
    );
    table.add(Problem::error(span, sentence).advice(advice));
}

fn sync(table: &Table<'_>) -> Option<Sync> {
    let typed = table.text("sync")?;
    let text = *typed.get_ref();
    let interval = |text: &str| humantime::parse_duration(text).ok().filter(|every| INTERVALS.contains(every));
    let sync = match (text, text.strip_prefix("interval:")) {
        ("group", _) => Some(Sync::Group),
        ("os", _) => Some(Sync::Os),
        (_, every) => every.and_then(interval).map(Sync::Interval),
    };
    if sync.is_none() {
        let advice = "write `sync = \"group\"` (nothing acknowledged is lost), `\"interval:500ms\"` (from 10ms to 1m) or `\"os\"`";
        table.add(Problem::error(typed.span(), format!("`sync` cannot be \"{text}\"")).advice(advice));
    }
    sync
}

pub(super) fn one_of<T: Copy>(table: &Table<'_>, key: &'static str, words: &[(&str, T)]) -> Option<T> {
    let typed = table.text(key)?;
    let text = *typed.get_ref();
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    if found.is_none() {
        let words: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        let advice = format!("choose one of {}", words.join(", "));
        table.add(Problem::error(typed.span(), format!("`{key}` cannot be \"{text}\"")).advice(advice));
    }
    found
}
