//! `[broker]`: where devices connect.

use std::net::SocketAddr;

use super::{limits, name};
use crate::config::checked::{Broker, BrokerLimits, Listener};
use crate::config::problem::Problem;
use crate::config::raw::{Placed, Table};

pub fn check(table: &Table<'_>) -> Broker {
    let listeners = listeners(table);
    let limits = limits::broker(&table.table("limits"));
    let strict_utf8 = table.flag("strict_utf8").unwrap_or(limits.strict_utf8);
    let limits = BrokerLimits { strict_utf8, ..limits };
    table.finish();
    Broker { listeners, limits }
}

fn listeners(broker: &Table<'_>) -> Vec<Listener> {
    let mut listeners: Vec<(Listener, Placed<&str>)> = Vec::new();
    let named = broker.named("listeners");
    if named.is_empty() {
        return vec![Listener::local()];
    }
    for (name, table) in named {
        name::check(&table, &name);
        let bind = bind(&table);
        let allow_insecure = table.flag("allow_insecure").unwrap_or(false);
        table.finish();
        let Some((address, typed)) = bind else { continue };
        guard_the_network(&table, address, &typed, allow_insecure);
        guard_the_port(&table, address, &typed, &listeners);
        let name = (*name.get_ref()).to_owned();
        listeners.push((Listener { name, bind: address, allow_insecure }, typed));
    }
    listeners.into_iter().map(|(listener, _)| listener).collect()
}

fn bind<'a>(table: &Table<'a>) -> Option<(SocketAddr, Placed<&'a str>)> {
    let Some(typed) = table.text("bind") else {
        if table.value("bind").is_none() {
            table.missing("bind", "say where to listen: `bind = \"127.0.0.1:1883\"`");
        }
        return None;
    };
    if let Ok(address) = typed.get_ref().parse() {
        return Some((address, typed));
    }
    let sentence = format!("cannot read \"{}\" as an address to listen on", typed.get_ref());
    let advice = "write an IP address and a port: \"127.0.0.1:1883\", \"0.0.0.0:1883\" or \"[::1]:1883\"";
    table.add(Problem::error(typed.span(), sentence).advice(advice));
    None
}

/// Without TLS and authentication, a listener that the network can reach must be asked for.
fn guard_the_network(table: &Table<'_>, address: SocketAddr, typed: &Placed<&str>, allowed: bool) {
    if allowed || address.ip().is_loopback() {
        return;
    }
    let sentence = format!("`{address}` is open to the network, without encryption and without passwords");
    let advice = "bind to 127.0.0.1, or add `allow_insecure = true` if this network is trusted";
    table.add(Problem::error(typed.span(), sentence).advice(advice));
}

fn guard_the_port(table: &Table<'_>, address: SocketAddr, typed: &Placed<&str>, earlier: &[(Listener, Placed<&str>)]) {
    let Some((other, place)) = earlier.iter().find(|(other, _)| collide(other.bind, address)) else { return };
    let sentence = format!("`{address}` is taken by the listener `{}`", other.name);
    let problem = Problem::error(typed.span(), sentence).also(place.span(), "first used here");
    table.add(problem.advice("give each listener its own port"));
}

/// Port 0 asks the system for a free one, so it never collides.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let wide = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && (wide || one.ip() == other.ip())
}
