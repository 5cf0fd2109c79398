//! `url` of an upstream: one, or several in the order of preference.

use std::ops::Range;

use toml::de::DeValue;

use super::url::{self, UrlError};
use crate::config::checked::Address;
use crate::config::problem::Problem;
use crate::config::raw::{Placed, Table};

/// Empty when there is none, which has then been reported.
pub fn check(table: &Table<'_>) -> Vec<Address> {
    match table.value("url") {
        Some((value, _)) if has_user(value) => {
            // Drawn at the table's name, and nothing else is said: the line of the url has a password in it.
            let problem = Problem::error(table.span(), "this `url` contains a user or a password");
            table.add(problem.advice(UrlError::User.to_string()));
            return Vec::new();
        }
        None => table.missing("url", "say where it is: `url = \"mqtts://broker.example.com:8883\"`"),
        Some((DeValue::Array(urls), span)) if urls.is_empty() => table.add(
            Problem::error(span, "`url` is an empty list").advice("name one broker at least, the preferred one first"),
        ),
        Some(_) => {}
    }
    let mut found: Vec<Placed<Address>> = Vec::new();
    for typed in table.texts("url").unwrap_or_default() {
        if let Some(address) = parse(table, &typed) {
            compare(table, &typed.span(), &address, &found);
            found.push(Placed::new(typed.span(), address));
        }
    }
    found.into_iter().map(Placed::into_inner).collect()
}

/// Whether one of these is the same place.
pub fn contain(addresses: &[Address], one: &Address) -> bool {
    addresses.iter().any(|address| same_place(address, one))
}

/// Host names have no case (RFC 4343).
fn same_place(one: &Address, other: &Address) -> bool {
    one.port == other.port && one.host.eq_ignore_ascii_case(&other.host)
}

/// Whether one of them does what only a url with a user does.
fn has_user(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::String(url) => url.contains('@'),
        DeValue::Array(urls) => urls.iter().any(|url| has_user(url.get_ref())),
        _ => false,
    }
}

fn parse(table: &Table<'_>, typed: &Placed<&str>) -> Option<Address> {
    let report = |error: UrlError| {
        table.add(Problem::error(typed.span(), "this is no url of an MQTT broker").advice(error.to_string()));
    };
    url::parse(typed.get_ref()).map_err(report).ok()
}

/// With those before it in the list.
fn compare(table: &Table<'_>, span: &Range<usize>, address: &Address, found: &[Placed<Address>]) {
    if let Some(first) = found.iter().find(|other| same_place(other.get_ref(), address)) {
        let problem = Problem::error(span.clone(), "this broker is in the list already");
        table.add(problem.also(first.span(), "first named here").advice("remove one of the two"));
    }
    if let Some(first) = found.first().filter(|first| first.get_ref().tls != address.tls) {
        // What one network must not read, the other must not either; and `ca` would hold for a part of the list only.
        let problem = Problem::error(span.clone(), "`mqtt://` and `mqtts://` in one list");
        let advice = "encrypt all of them or none; for another broker, write another upstream";
        table.add(problem.also(first.span(), "the first one decides").advice(advice));
    }
}
