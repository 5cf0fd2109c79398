//! From the lines of a mosquitto.conf to tables of a configuration, in the order of `host/examples/gateway.toml`.
//!
//! What is taken over never opens more than mosquitto does. Where the way in cannot be kept as it is - a plugin decides, a
//! pre-shared key, a socket of another kind - the table stands there as a comment, with what is missing ([`Hold`]).
//!
//! [`Hold`]: super::draft::Hold

mod access;
mod addresses;
mod bridge;
mod door;
mod limits;
mod listener;
mod listener_tls;
mod names;
mod topics;
mod upstream_tls;
mod who;

use super::draft::{Draft, Table};
use super::outline::Outline;
use super::paths::Paths;

pub struct Around<'a, 'b> {
    pub outline: &'b Outline<'a>,
    pub paths: &'b Paths,
    /// Whether there is a place beside the output for files of passwords.
    pub has_place: bool,
}

pub fn draft<'a>(outline: &Outline<'a>, paths: &Paths, has_place: bool) -> Draft<'a> {
    let around = Around { outline, paths, has_place };
    let limits = limits::table(outline);
    let listeners = listener::all(&around);
    let access = access::tables(&around, &listeners);
    let mut draft = Draft::default();
    draft.tables.extend(broker(outline));
    draft.tables.extend(listeners.into_iter().map(|listener| listener.table));
    draft.tables.extend(limits);
    draft.tables.extend(access);
    bridge::add_all(&around, &mut draft);
    draft
}

fn broker<'a>(outline: &Outline<'a>) -> Option<Table<'a>> {
    let said = outline.broker.number("sys_interval")?;
    if !(0..=i64::from(u16::MAX)).contains(&said.value) {
        said.line.leave("mosquitto refuses this value", "correct it, and import again");
        return None;
    }
    let mut table = Table::new("[broker]", None);
    table.add("sys_interval", format!("\"{}s\"", said.value), Some(said.line));
    table.held.iter().for_each(|hold| said.line.leave(hold.why.as_str(), hold.todo.as_str()));
    Some(table)
}
