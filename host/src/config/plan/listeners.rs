//! Listeners: each by its name. One that stays as it is loses no connection.

use super::Plan;
use crate::config::checked::{Config, Listener};

/// What becomes of a listener that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerChange {
    Unchanged,
    /// For who connects from now on; who is connected stays.
    NewConnections,
    /// Who is connected has proved less, or something else, than is asked now, and connects again.
    AllConnections,
    /// It is another place, so that its connections end with the old one.
    Moved,
}

pub fn compare(running: &Config, wanted: &Config, plan: &mut Plan) {
    let (old, new) = (&running.broker.listeners, &wanted.broker.listeners);
    for listener in old.iter().filter(|old| find(new, &old.name).is_none()) {
        let how = "taken away: its connections end, and its sessions stay for their time";
        plan.now(format!("listener {}", listener.name), how);
    }
    for listener in new {
        let what = format!("listener {}", listener.name);
        let Some(before) = find(old, &listener.name) else {
            plan.now(what, format!("added at {}", listener.bind));
            continue;
        };
        match change_of(before, listener) {
            ListenerChange::Unchanged => plan.unchanged(what),
            ListenerChange::NewConnections => plan.now(what, "changed for new connections; those that are there stay"),
            ListenerChange::AllConnections => {
                plan.now(what, "changed in who may connect: its connections end, and devices connect again");
            }
            ListenerChange::Moved => {
                let how = format!("moved from {} to {}: its connections end", before.bind, listener.bind);
                plan.now(what, how);
            }
        }
    }
    match running.broker.sys_interval == wanted.broker.sys_interval {
        true => plan.unchanged("broker.sys_interval"),
        false => plan.now("broker.sys_interval", "changed"),
    }
}

pub fn change_of(running: &Listener, wanted: &Listener) -> ListenerChange {
    if running.bind != wanted.bind {
        return ListenerChange::Moved;
    }
    if running == wanted {
        return ListenerChange::Unchanged;
    }
    match who_may_connect(running) == who_may_connect(wanted) {
        true => ListenerChange::NewConnections,
        false => ListenerChange::AllConnections,
    }
}

/// What a client had to have to be let in. Not the key and the certificate, which are the gateway's.
fn who_may_connect(listener: &Listener) -> impl PartialEq + use<'_> {
    let tls = listener.tls.as_ref().map(|tls| (&tls.client_ca, &tls.crl, tls.identity));
    (listener.auth, &listener.client_ids, tls)
}

fn find<'a>(listeners: &'a [Listener], name: &str) -> Option<&'a Listener> {
    listeners.iter().find(|listener| listener.name == name)
}
