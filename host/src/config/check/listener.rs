//! `[broker.listeners.NAME]`: where devices connect.

use std::net::SocketAddr;

use super::{listener_tls, name, proxy, spool, transport};
use crate::config::ClientIds;
use crate::config::checked::{Auth, Listener};
use crate::config::problem::Problem;
use crate::config::raw::{Placed, Table};
use crate::mqtt::Mqtt31;

/// With the place of its `bind`, which is where two of them can be in each other's way.
type Typed<'a> = (Listener, Placed<&'a str>);

const AUTH: [(&str, Auth); 3] =
    [("none", Auth::None), ("password", Auth::Password), ("certificate", Auth::Certificate)];

pub fn check_all(broker: &Table<'_>) -> Vec<Listener> {
    let named = broker.named("listeners");
    if named.is_empty() {
        return vec![Listener::local()];
    }
    let mut listeners: Vec<Typed<'_>> = Vec::new();
    for (name, table) in named {
        name::check(&table, &name);
        if let Some((listener, typed)) = check(&table, name.get_ref()) {
            guard_the_network(&table, &listener, &typed);
            proxy::warn(&table, listener.proxy.as_ref(), listener.bind);
            guard_the_port(&table, listener.bind, &typed, &listeners);
            listeners.push((listener, typed));
        }
        table.finish();
    }
    listeners.into_iter().map(|(listener, _)| listener).collect()
}

fn check<'a>(table: &Table<'a>, name: &str) -> Option<Typed<'a>> {
    let bind = bind(table);
    let allow_insecure = table.flag("allow_insecure").unwrap_or(false);
    let auth = spool::one_of(table, "auth", &AUTH).unwrap_or_default();
    let tls = listener_tls::check(table, auth);
    let client_ids = client_ids(table, auth);
    let transport = transport::check(table);
    let proxy = proxy::check(table);
    let mqtt_3_1 = if table.flag("mqtt_3_1").unwrap_or(false) { Mqtt31::Served } else { Mqtt31::Refused };
    let (bind, typed) = bind?;
    let name = name.to_owned();
    let listener = Listener { name, bind, tls, auth, client_ids, allow_insecure, transport, proxy, mqtt_3_1 };
    Some((listener, typed))
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

fn client_ids(table: &Table<'_>, auth: Auth) -> Option<ClientIds> {
    const EXAMPLE: &str = "write which client identifiers a user may have: `client_id = \"{user}-*\"`";
    let typed = table.text("client_id")?;
    let pattern = match ClientIds::parse(typed.get_ref()) {
        Ok(pattern) => pattern,
        Err(error) => {
            let sentence = format!("cannot read `client_id = \"{}\"`: {error}", typed.get_ref());
            table.add(Problem::error(typed.span(), sentence).advice(EXAMPLE));
            return None;
        }
    };
    // What is wrong with `auth` has been told.
    if pattern.names_user()
        && auth == Auth::None
        && table.value("auth").is_none_or(|(auth, _)| auth.as_str() == Some("none"))
    {
        let sentence = "`client_id` names the user, and nobody here proves to be one";
        let advice = "add `auth = \"password\"` or `auth = \"certificate\"` to this listener";
        table.add(Problem::error(typed.span(), sentence).advice(advice));
    }
    Some(pattern)
}

/// What the network can reach has TLS and knows who is there, or somebody has asked for it to be open.
fn guard_the_network(table: &Table<'_>, listener: &Listener, typed: &Placed<&str>) {
    const TLS: &str = "`tls = { cert = \"gateway.pem\", key = \"gateway.key\", client_ca = \"devices.pem\" }`";
    const PLAIN_TLS: &str = "`tls = { cert = \"gateway.pem\", key = \"gateway.key\" }`";
    const AUTH: &str = "`auth = \"certificate\"`";
    const PASSWORD: &str = "`auth = \"password\"`";
    let address = listener.bind;
    if listener.is_locked() {
        return tell_needless_permission(table, listener);
    }
    if address.ip().is_loopback() {
        return;
    }
    // What was typed and is wrong has been told, and is no lock that is missing.
    let (has_tls, has_auth) = (table.value("tls").is_some(), table.value("auth").is_some());
    if listener.allow_insecure || (has_tls && has_auth && listener.auth != Auth::None) {
        return;
    }
    let (lacks, lines) = match (has_tls, listener.auth) {
        (false, Auth::None) => ("without encryption, and nobody proves who he is", {
            format!("{PLAIN_TLS} and {PASSWORD}, or with {TLS} and {AUTH}")
        }),
        (false, Auth::Password) => ("without encryption, and passwords can be read on their way", PLAIN_TLS.to_owned()),
        (false, Auth::Certificate) => ("without encryption", TLS.to_owned()),
        (true, _) => ("and nobody proves who he is", format!("{PASSWORD}, or {AUTH} with `client_ca` in `tls`")),
    };
    let sentence = format!("`{address}` is open to the network, {lacks}");
    let advice = format!(
        "lock it with {lines}; or bind to 127.0.0.1; or add `allow_insecure = true` if everybody in this network is trusted"
    );
    table.add(Problem::error(typed.span(), sentence).advice(advice));
}

/// It opens nothing that is locked, and whoever takes the lock away would not be told.
fn tell_needless_permission(table: &Table<'_>, listener: &Listener) {
    let Some((_, span)) = table.value("allow_insecure").filter(|_| listener.allow_insecure) else { return };
    let sentence = "`allow_insecure` is not needed: this listener has `tls` and `auth`";
    let advice = match listener.bind.ip().is_loopback() {
        true => "remove it",
        false => {
            "remove it. Where there are no access rules, it also lets everybody who comes in do everything: say in `[access]` who may do what"
        }
    };
    table.add(Problem::warning(span, sentence).advice(advice));
}

fn guard_the_port(table: &Table<'_>, address: SocketAddr, typed: &Placed<&str>, earlier: &[Typed<'_>]) {
    let Some((other, place)) = earlier.iter().find(|(other, _)| collide(other.bind, address)) else { return };
    let sentence = format!("`{address}` is taken by the listener `{}`", other.name);
    let problem = Problem::error(typed.span(), sentence).also(place.span(), "first used here");
    table.add(problem.advice("give each listener its own port"));
}

/// Port 0 asks the system for a free one, so it never collides.
pub fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let wide = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && (wide || one.ip() == other.ip())
}
