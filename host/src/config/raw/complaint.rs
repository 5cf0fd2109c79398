//! What a table says when an answer is not what was asked for.

use std::ops::{Range, RangeInclusive};

use toml::de::DeValue;

use super::{Kind, Limit, Table};
use crate::config::problem::Problem;
use crate::config::similar::did_you_mean;

/// Keys that a person finds in the documentation of later versions, or of another place, each with the table that it would be in (or one
/// below it). In other tables it is a word as any other.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("", "listeners", "devices connect to the broker: `[broker.listeners.NAME]`"),
    ("", "listener", "devices connect to the broker: `[broker.listeners.NAME]`"),
    ("", "limits", "those of devices are `[broker.limits]`, those of a plugin `[plugins.NAME.limits]`"),
    ("", "attach", "this version cannot attach to an existing broker yet: devices connect to `[broker]`"),
    (
        "broker",
        "tls",
        "each listener has its own: `tls = { cert = \"gateway.pem\", key = \"gateway.key\" }` below `[broker.listeners.NAME]`",
    ),
    (
        "broker",
        "users",
        "users and their passwords are in a file: `[access]`, and below it `passwords = \"users.passwd\"`",
    ),
    ("broker", "passwords", "one file has the users of all listeners: `[access]`, and below it `passwords`"),
    ("broker", "password_file", "one file has the users of all listeners: `[access]`, and below it `passwords`"),
    ("broker", "acl_file", "access rules hold at all listeners: `[access]`, and below it `acl_file`"),
    ("broker", "allow_anonymous", "`auth` says how devices prove who they are; \"none\" lets everybody in"),
    ("broker", "cert", "certificates stand in `tls`: `tls = { cert = \"gateway.pem\", key = \"gateway.key\" }`"),
    ("broker", "port", "`bind` has address and port: `bind = \"127.0.0.1:1883\"`"),
    ("broker", "acl", "access rules stand in `[access]`: `acl_file`, or `[[access.rules]]`"),
    ("spool", "max_messages", "the spool is bounded by `max_bytes`, on disk and for all upstreams together"),
    ("upstreams", "max_messages", "the spool is bounded by `max_bytes`, on disk and for all upstreams together"),
    ("upstreams", "tls", "`mqtts://` in `url` is TLS; the files for it are `ca`, `cert` and `key`, here"),
    (
        "upstreams",
        "password",
        "the password stands in a file of its own, as its first line: `password_file = \"cloud.password\"`",
    ),
    ("upstreams", "host", "`url` has host and port: `url = \"mqtts://broker.example.com:8883\"`"),
    ("upstreams", "address", "`url` has host and port: `url = \"mqtts://broker.example.com:8883\"`"),
    ("upstreams", "port", "`url` has host and port: `url = \"mqtts://broker.example.com:8883\"`"),
    ("upstreams", "users", "who this gateway is there say `username` and `password_file`"),
    ("upstreams", "acl", "what may go there the bindings say, in `topic` and `to`"),
];

// === impl Table ===

impl Table<'_> {
    /// Says that a key is needed.
    pub fn missing(&self, key: &str, advice: &str) {
        self.add(Problem::error(self.span(), format!("`{key}` is missing here")).advice(advice));
    }

    /// Says which keys nobody asked for.
    pub fn finish(&self) {
        let asked = self.asked.borrow();
        for name in self.entries.into_iter().flat_map(|entries| entries.keys()) {
            let word = name.get_ref().as_ref();
            if asked.contains(&word) {
                continue;
            }
            let elsewhere = ELSEWHERE.iter().find(|(table, key, _)| *key == word && self.is_below(table));
            let advice = elsewhere.map(|(_, _, advice)| (*advice).to_owned());
            let advice = advice.unwrap_or_else(|| did_you_mean(word, &asked, "nothing is set here"));
            self.add(Problem::error(name.span(), format!("unknown key `{word}`")).advice(advice));
        }
    }

    /// Whether it is that table, or one in it.
    fn is_below(&self, table: &str) -> bool {
        let rest = self.name().strip_prefix(table);
        rest.is_some_and(|rest| rest.is_empty() || (!table.is_empty() && rest.starts_with('.')))
    }

    /// The value when it is in range; `None` is one that is too large for its type.
    pub(super) fn within<T: Limit>(
        &self,
        key: &str,
        value: Option<T>,
        range: &RangeInclusive<T>,
        span: Range<usize>,
    ) -> Option<T> {
        if value.is_some_and(|value| range.contains(&value)) {
            return value;
        }
        let sentence = format!("`{key}` must be from {} to {}", range.start().shown(), range.end().shown());
        self.add(
            Problem::error(span, sentence).advice("choose a value in that range, or leave the key out for the default"),
        );
        None
    }

    pub(super) fn wrong<T>(&self, key: &str, kind: Kind, value: &DeValue<'_>, span: &Range<usize>) -> Option<T> {
        let sentence = format!("`{key}` must be {}, not {}", kind.name(), Kind::found(value));
        self.add(Problem::error(span.clone(), sentence).advice(self.example(key, kind)));
        None
    }

    pub(super) fn misread<T>(&self, key: &str, kind: Kind, text: &str, span: &Range<usize>) -> Option<T> {
        let sentence = format!("`{key}`: cannot read \"{text}\" as {}", kind.name());
        self.add(Problem::error(span.clone(), sentence).advice(self.example(key, kind)));
        None
    }

    fn example(&self, key: &str, kind: Kind) -> String {
        let header = self.full(key);
        let is_header = matches!(kind, Kind::Table | Kind::Named | Kind::Tables);
        // A header is written with its full name, anything else with the key alone.
        format!("write it like {}", kind.example(if is_header { &header } else { key }))
    }
}
