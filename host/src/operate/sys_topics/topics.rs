//! The names, and how a value is written.

use std::time::Duration;

use super::readings::{Readings, Totals};
use crate::bus::BusCensus;
use crate::ingress::registry::Census;

/// Without those of the load.
pub(super) fn of(readings: &Readings, uptime: Duration, most_clients: usize) -> Vec<(String, String)> {
    let Readings { census, expired, totals } = readings;
    let version = format!("tidegate version {}", env!("CARGO_PKG_VERSION"));
    let mut topics = vec![named("version", version), named("uptime", format!("{} seconds", uptime.as_secs()))];
    topics.extend(clients(census, *expired, most_clients));
    topics.extend(stored(census));
    topics.extend(passed(totals));
    topics
}

/// With the names that mosquitto calls deprecated and still publishes.
fn clients(census: &Census, expired: u64, most: usize) -> impl Iterator<Item = (String, String)> {
    let Census { connected, away, .. } = *census;
    [
        ("clients/total", (connected + away) as u64),
        ("clients/maximum", most as u64),
        ("clients/connected", connected as u64),
        ("clients/active", connected as u64),
        ("clients/disconnected", away as u64),
        ("clients/inactive", away as u64),
        ("clients/expired", expired),
    ]
    .into_iter()
    .map(number)
}

fn stored(census: &Census) -> impl Iterator<Item = (String, String)> {
    let BusCensus { subscriptions, shared_subscriptions, retained, retained_bytes } = census.bus;
    let messages = retained + census.queued;
    [
        ("subscriptions/count", subscriptions),
        ("shared_subscriptions/count", shared_subscriptions),
        ("retained messages/count", retained),
        ("store/messages/count", messages),
        ("messages/stored", messages),
        ("store/messages/bytes", retained_bytes + census.queued_bytes),
    ]
    .into_iter()
    .map(|(name, value)| number((name, value as u64)))
}

fn passed(totals: &Totals) -> impl Iterator<Item = (String, String)> {
    [
        ("messages/received", totals.messages_received),
        ("messages/sent", totals.messages_sent),
        ("publish/messages/received", totals.publish_received),
        ("publish/messages/sent", totals.publish_sent),
        ("publish/messages/dropped", totals.publish_dropped),
        ("publish/bytes/received", totals.payload_received),
        ("publish/bytes/sent", totals.payload_sent),
        ("bytes/received", totals.bytes_received),
        ("bytes/sent", totals.bytes_sent),
    ]
    .into_iter()
    .map(number)
}

fn number((name, value): (&str, u64)) -> (String, String) {
    named(name, value.to_string())
}

pub(super) fn named(name: &str, value: String) -> (String, String) {
    (format!("$SYS/broker/{name}"), value)
}
