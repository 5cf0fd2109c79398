//! Listeners.

use std::net::{Ipv4Addr, SocketAddr};

use super::names::Names;
use super::{Around, door, listener_tls, who};
use crate::cli::import::draft::{Hold, Table, list, quoted};
use crate::cli::import::line::Line;
use crate::cli::import::outline::Listener;

/// What [`super::access`] has to know of it.
pub struct Made<'a> {
    pub table: Table<'a>,
    pub name: String,
    pub asks_for_passwords: bool,
    /// Only those come in who prove who they are, over TLS: what they may do there has to be said.
    pub is_locked: bool,
    /// Without one, who is let in may do everything.
    pub acl_file: Option<String>,
}

pub fn all<'a>(around: &Around<'a, '_>) -> Vec<Made<'a>> {
    let mut names = Names::default();
    let mut taken: Vec<SocketAddr> = Vec::new();
    let files = who::Files::find(around);
    let mut made: Vec<Made<'a>> = Vec::new();
    made.extend(around.outline.local().map(|local| local_only(around, local, &files)));
    for listener in &around.outline.listeners {
        let mut one = make(around, listener, &files, &mut names, &mut taken);
        settle(&mut one, listener);
        made.push(one);
    }
    if made.iter().all(|one| one.table.held.is_some()) {
        around.outline.leave_access("no listener is in force", "see the reasons at the listeners");
    }
    made
}

fn make<'a>(
    around: &Around<'a, '_>,
    listener: &Listener<'a>,
    files: &who::Files,
    names: &mut Names,
    taken: &mut Vec<SocketAddr>,
) -> Made<'a> {
    let mut table = Table::new(String::new(), listener.head);
    let bind = bind(listener, &mut table, taken);
    let is_websocket = transport(listener, &mut table);
    let tls = listener_tls::add(around, listener, &mut table);
    let who = who::add(around, listener, files, &tls, &mut table);
    let kind = match (is_websocket, tls.is_on) {
        (false, false) => "mqtt",
        (false, true) => "mqtts",
        (true, false) => "ws",
        (true, true) => "wss",
    };
    let port = bind.map(|bind| bind.port().to_string()).or_else(|| listener.head?.words().next().map(str::to_owned));
    let name = names.new_one(&format!("{kind}-{}", port.unwrap_or_default()));
    table.header = format!("[broker.listeners.{name}]");
    let is_loopback = bind.is_some_and(|bind| bind.ip().is_loopback());
    let is_locked = tls.is_on && who.auth != who::Auth::None;
    if !is_loopback && !is_locked {
        table.add("allow_insecure", "true", who.anonymous);
        table.note(match who.auth {
            who::Auth::None => "Whoever reaches this address may connect, as before. Lock it with `tls` and `auth`.",
            _ => "Passwords can be read on their way, as before. Lock it with `tls`.",
        });
    }
    if let Some(prefix) = listener.settings.text(&["mount_point"]) {
        let why = "topics of one listener get no prefix of their own, and its devices would meet those of others";
        let todo =
            format!("let them publish below `{}` themselves, with access rules that keep them there", prefix.value);
        table.hold(Hold::new(why, todo));
    }
    let asks_for_passwords = who.auth == who::Auth::Password;
    Made { table, name, asks_for_passwords, is_locked: is_locked && !is_loopback, acl_file: who.acl_file }
}

/// mosquitto without a listener.
fn local_only<'a>(around: &Around<'a, '_>, local: &Listener<'a>, files: &who::Files) -> Made<'a> {
    let mut table = Table::new("[broker.listeners.local]", None);
    let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, door::DEFAULT_PORT));
    table.add("bind", quoted(&bind.to_string()), None);
    table.note("mosquitto has no listener in its file: it serves this machine only.");
    let who = who::add(around, local, files, &listener_tls::Found::default(), &mut table);
    let asks_for_passwords = who.auth == who::Auth::Password;
    let mut made =
        Made { table, name: "local".to_owned(), asks_for_passwords, is_locked: false, acl_file: who.acl_file };
    settle(&mut made, local);
    made
}

/// What is held is not taken over.
fn settle(made: &mut Made<'_>, listener: &Listener<'_>) {
    let Some(Hold { why, todo }) = &made.table.held else {
        listener.head.iter().for_each(|head| head.take());
        return;
    };
    let todo = format!("{todo}; then take the `#` away from [broker.listeners.{}]", made.name);
    listener.leave(&format!("this listener is not in force: {why}"), &todo);
    (made.asks_for_passwords, made.is_locked, made.acl_file) = (false, false, None);
}

fn bind<'a>(listener: &Listener<'a>, table: &mut Table<'a>, taken: &mut Vec<SocketAddr>) -> Option<SocketAddr> {
    let door = match door::find(listener) {
        Ok(door) => door,
        Err(hold) => {
            table.add("bind", quoted("ADDRESS:PORT"), None);
            table.hold(hold);
            return None;
        }
    };
    table.add("bind", quoted(&door.bind.to_string()), door.from);
    if door.is_ipv4_of_both {
        table.note(format!("mosquitto listens on IPv6, too: \"[::]:{}\" is both.", door.bind.port()));
    }
    let wide = |one: &SocketAddr| one.ip().is_unspecified();
    let collides = |other: &SocketAddr| {
        other.port() == door.bind.port() && (wide(other) || wide(&door.bind) || other.ip() == door.bind.ip())
    };
    if taken.iter().any(collides) {
        table.hold(Hold::new("another listener has this port", "give one of them another port"));
    } else {
        taken.push(door.bind);
    }
    Some(door.bind)
}

fn transport<'a>(listener: &Listener<'a>, table: &mut Table<'a>) -> bool {
    let protocol = listener.settings.word(&["protocol"]);
    let origins: Vec<&'a Line> = listener.settings.all("websockets_origin").collect();
    match protocol {
        Some(said) if said.value == "websockets" => {
            table.add("transport", quoted("websocket"), Some(said.line));
            add_origins(table, &origins);
            true
        }
        Some(said) if said.value != "mqtt" => {
            table.hold(Hold::new(format!("there is no protocol `{}` here", said.value), "use mqtt or websockets"));
            false
        }
        _ => {
            origins.iter().for_each(|line| line.needless("it has no effect on a listener that is none of websockets"));
            false
        }
    }
}

/// Without one mosquitto asks no page where it comes from.
fn add_origins<'a>(table: &mut Table<'a>, origins: &[&'a Line]) {
    let mut good: Vec<&'a Line> = Vec::new();
    for line in origins.iter().copied() {
        if is_origin(&line.value) {
            line.take();
            good.push(line);
        } else {
            line.leave(
                "this is not an origin",
                "write scheme, host and port, as `https://panel.example`, into `origins`",
            );
        }
    }
    if good.is_empty() && origins.is_empty() {
        table.add("origins", list(["*"]), None);
        table.note("Any page that a browser shows may connect, as before. Name yours: \"https://panel.example\".");
    } else {
        table.add("origins", list(good.iter().map(|line| line.value.as_str())), good.iter().copied());
    }
}

/// As a browser writes one.
fn is_origin(text: &str) -> bool {
    let (scheme, authority) = text.split_once("://").unwrap_or_default();
    let is_plain = |c: char| c.is_ascii_graphic() && !"/?#@*".contains(c);
    text == "*" || (!scheme.is_empty() && !authority.is_empty() && authority.chars().all(is_plain))
}
