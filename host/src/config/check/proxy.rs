//! `proxy_protocol` and `proxy_from` of a listener: whose word on addresses is taken.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use crate::config::checked::Proxy;
use crate::config::problem::Problem;
use crate::config::raw::{Placed, Table};

const EXAMPLE: &str = "`proxy_from = [\"10.0.0.5\", \"10.1.0.0/24\"]`";

/// `None` where no load balancer is expected.
pub fn check(table: &Table<'_>) -> Option<Proxy> {
    let is_expected = table.flag("proxy_protocol").unwrap_or(false);
    let place = table.value("proxy_from").map(|(_, span)| span);
    let typed = table.texts("proxy_from");
    if let (true, Some(span)) = (typed.as_ref().is_some_and(Vec::is_empty), &place) {
        let problem = Problem::error(span.clone(), "`proxy_from` is an empty list: nobody could connect");
        table.add(problem.advice(format!("name the load balancers: {EXAMPLE}, or leave it out")));
    }
    let from = typed.map(|typed| typed.iter().filter_map(|typed| network(table, typed)).collect());
    if is_expected {
        return Some(Proxy { from });
    }
    // What was typed in its place, and is wrong, has been told.
    if let (Some(span), None | Some(true)) = (place, is_off(table)) {
        let sentence = "`proxy_from` has no effect without `proxy_protocol = true`";
        table.add(Problem::error(span, sentence).advice("add `proxy_protocol = true`, or remove this key"));
    }
    None
}

/// Whoever reaches it from elsewhere could say to be anywhere: in the log, and for the limits of addresses.
pub fn warn(table: &Table<'_>, proxy: Option<&Proxy>, bind: SocketAddr) {
    let Some((_, span)) = table.value("proxy_protocol") else { return };
    if bind.ip().is_loopback() || proxy.is_none_or(|proxy| proxy.from.is_some()) {
        return;
    }
    let sentence = "whoever reaches this listener is believed to be a load balancer, and can say any address";
    let advice = format!("name those that are: {EXAMPLE}; everybody else is closed unread then");
    table.add(Problem::warning(span, sentence).advice(advice));
}

fn is_off(table: &Table<'_>) -> Option<bool> {
    table.value("proxy_protocol").map(|(value, _)| value.as_bool() == Some(false))
}

fn network(table: &Table<'_>, typed: &Placed<&str>) -> Option<IpNet> {
    let text = *typed.get_ref();
    let one = text.parse().map(|address: IpAddr| IpNet::from(address.to_canonical()));
    if let Ok(network) = one.or_else(|_| text.parse()) {
        return Some(network);
    }
    let sentence = format!("\"{text}\" is neither an IP address nor a network");
    let advice = "write an address, \"10.0.0.5\", or a network, \"10.1.0.0/24\" or \"fd00:1::/64\"";
    table.add(Problem::error(typed.span(), sentence).advice(advice));
    None
}
