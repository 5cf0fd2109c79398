//! From what was typed to what is meant: one file per table.
//!
//! A check never stops at the first problem. It returns `None`, or a default in place of a wrong value; either way a
//! problem has been reported, and [`super::parse`] then refuses the file, so no default made up here can ever run.

mod access;
mod access_doubts;
mod addresses;
mod binding;
mod broker;
mod dead_letters;
mod destination;
mod engine;
mod faults;
mod gateway;
mod glob;
mod grants;
mod json;
mod limits;
mod listener;
mod listener_tls;
mod log;
mod loops;
mod name;
mod operate;
mod own_listener;
mod passwords;
mod pin;
mod plugin;
mod policies;
mod proxy;
mod sources;
mod spool;
mod subscribe;
mod transport;
mod trust;
mod unused;
mod upstream;
mod upstream_tls;
mod url;

pub use transport::is_origin;

use super::checked::Config;
use super::problem::Problems;
use super::raw::Table;

pub fn config(root: &Table<'_>) -> Option<Config> {
    let gateway = gateway::check(&root.table("gateway"));
    let id = gateway.as_ref().map_or("", |gateway| &gateway.id);
    let mut broker = broker::check(&root.table("broker"));
    let access = access::check(root, &broker.listeners);
    let operate = operate::check(&root.table("operate"), &broker.listeners);
    let log = log::check(&root.table("log"));
    let (upstream_names, upstreams) = upstream::check_all(root, id);
    own_listener::check(root, &broker.listeners, &upstreams, &upstream_names);
    let spool_table = root.table("spool");
    let spool = spool::check(&spool_table);
    if root.table("broker").table("limits").value("max_sessions").is_none() {
        spool::fit_sessions(&spool, &mut broker.limits);
    }
    spool::check_state(&spool_table, &spool, &broker.limits);
    spool_table.finish();
    let engine = engine::check(&root.table("engine"));
    let trust = trust::check(&root.table("trust"));
    let dead_letters = dead_letters::check(&root.table("dead_letters"), broker.limits.max_packet_size);
    let (plugin_names, plugins) = plugin::check_all(root);

    let names = binding::Names { upstreams: upstream_names, plugins: plugin_names };
    let bindings = binding::check_all(root, &names);
    // An id is a place in the file: beside an upstream that has a problem of its own, nothing is said of others.
    let placed = if upstreams.len() == names.upstreams.len() { &upstreams[..] } else { &[] };
    sources::check(root, placed, &bindings);
    loops::check(root, id, placed, &bindings);
    root.finish();
    // What looks unused beside an error may be used by the very line that was not understood.
    if !root.has_problems() {
        unused::check(root, &names, &bindings);
        sources::doubts(root, &names.upstreams, &upstreams, &bindings);
    }

    let bindings = bindings.into_iter().map(|read| read.binding).collect();
    let warnings = Problems::default();
    Some(Config {
        gateway: gateway?,
        broker,
        access,
        upstreams,
        spool,
        dead_letters,
        engine,
        trust,
        plugins,
        bindings,
        operate,
        log,
        warnings,
    })
}
