//! `subscribe` of an upstream: what it is asked to send us.
//!
//! Filters of one upstream that meet are refused: a server may send a message once for each of them (MQTT 5, section 3.3.4), under identifiers of
//! their own, so that no receiver can see that they are one.

use super::destination;
use super::glob::Glob;
use crate::config::checked::Subscription;
use crate::config::problem::Problem;
use crate::config::raw::{Kind, Placed, Table};
use crate::message::QoS;
use crate::mqtt::{RetainHandling, SubscribeOptions, Version};
use crate::topic::SharedFilter;

/// More is a list that a filter with a wildcard says better; each costs a packet with each new session.
const MOST: usize = 64;

/// Bytes of a filter: what is subscribed to is remembered with each session, in one record.
const LONGEST: usize = 1_024;

/// What a subscription asks for when it says nothing: a command that is lost is worse than one that comes twice.
const QOS: QoS = QoS::AtLeastOnce;

pub fn check(table: &Table<'_>, protocol: Version, gateway: &str) -> Vec<Subscription> {
    let Some((tables, span)) = table.tables("subscribe", Kind::InlineTables) else { return Vec::new() };
    if tables.len() > MOST {
        let sentence = format!("`subscribe` has more than {MOST} filters");
        table.add(Problem::error(span, sentence).advice("say several of them with one that has `+` or `#`"));
    }
    let mut found: Vec<Placed<Subscription>> = Vec::new();
    for one in &tables {
        if let Some(subscription) = subscription(one, protocol, gateway) {
            compare(one, &subscription, &found);
            found.push(subscription);
        }
        one.finish();
    }
    found.into_iter().map(Placed::into_inner).collect()
}

fn subscription(table: &Table<'_>, protocol: Version, gateway: &str) -> Option<Placed<Subscription>> {
    let (qos, no_local) = (qos(table), flag(table, "no_local", protocol));
    let as_published = flag(table, "retain_as_published", protocol);
    let Some(typed) = table.text("filter") else {
        if table.value("filter").is_none() {
            table.missing("filter", "say which messages: `filter = \"plants/{gateway}/commands/#\"`");
        }
        return None;
    };
    let text = typed.get_ref().replace("{gateway}", gateway);
    let filter = parse(table, &typed, &text)?;
    let is_shared = filter.group.is_some();
    let options = SubscribeOptions {
        qos,
        no_local: no_local_of(table, is_shared, no_local, protocol),
        retain_as_published: as_published.unwrap_or(protocol == Version::V5),
        // Those that are retained come with a subscription that is new at the server, and not with each connection.
        retain_handling: RetainHandling::SendIfNew,
    };
    Some(Placed::new(typed.span(), Subscription { text, filter, options }))
}

fn parse(table: &Table<'_>, typed: &Placed<&str>, text: &str) -> Option<SharedFilter> {
    let problem = |advice: String| {
        let sentence = format!("\"{}\" is no topic filter", typed.get_ref());
        table.add(Problem::error(typed.span(), sentence).advice(advice));
    };
    if text.contains(['{', '}']) {
        problem("`{gateway}` is the only place that a filter can have".to_owned());
        return None;
    }
    if text.len() > LONGEST {
        problem(format!("a filter of `subscribe` has at most {LONGEST} bytes"));
        return None;
    }
    SharedFilter::parse(text).map_err(|error| problem(error.to_string())).ok()
}

fn qos(table: &Table<'_>) -> QoS {
    let advice = "0 may be lost, 1 may come twice, 2 comes once; without it, 1";
    destination::qos_number(table, "`qos` must be 0, 1 or 2", advice, false).unwrap_or(QOS)
}

/// A subscription option of MQTT 5.
fn flag(table: &Table<'_>, key: &'static str, protocol: Version) -> Option<bool> {
    if let (Some((_, span)), Version::V311) = (table.value(key), protocol) {
        let problem = Problem::error(span, format!("MQTT 3.1.1 has no `{key}`"));
        table.add(problem.advice("remove it, or use `protocol = 5`"));
    }
    table.flag(key)
}

/// A shared subscription cannot have it [MQTT-3.8.3-4].
fn no_local_of(table: &Table<'_>, is_shared: bool, typed: Option<bool>, protocol: Version) -> bool {
    if let (true, Some(true), Some((_, span))) = (is_shared, typed, table.value("no_local")) {
        let problem = Problem::error(span, "`no_local` is not allowed with `$share/`");
        table.add(problem.advice("remove it: MQTT 5 calls it a protocol error"));
    }
    typed.unwrap_or(protocol == Version::V5 && !is_shared)
}

fn compare(table: &Table<'_>, one: &Placed<Subscription>, found: &[Placed<Subscription>]) {
    let glob = |of: &Placed<Subscription>| Glob::new(of.get_ref().filter.filter.as_str());
    if let Some(other) = found.iter().find(|other| glob(other).meets(&glob(one))) {
        let problem = Problem::error(one.span(), "a message may match this filter and another one of this upstream");
        let advice = "the upstream may send it once for each: write filters that have no topic in common";
        table.add(problem.also(other.span(), "the other one").advice(advice));
    }
}
