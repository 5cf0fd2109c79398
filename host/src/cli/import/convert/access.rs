//! `[access]`: passwords, the ACL file, and rules where mosquitto has none and lets everybody do everything.

use super::Around;
use super::listener::Made;
use crate::cli::import::draft::{Table, quoted};
use crate::cli::import::line::Said;

const ALL: &str = "[\"#\"]";
/// A wildcard does not match what begins with `$`.
const ALL_AND_SYS: &str = "[\"#\", \"$SYS/#\"]";

pub fn tables<'a>(around: &Around<'a, '_>, listeners: &[Made<'a>]) -> Vec<Table<'a>> {
    let in_force: Vec<&Made<'a>> = listeners.iter().filter(|made| made.table.held.is_none()).collect();
    let mut table = Table::new("[access]", None);
    let with_acl = in_force.iter().any(|made| made.acl_file.is_some());
    let files = [
        ("passwords", "password_file", in_force.iter().any(|made| made.asks_for_passwords)),
        ("acl_file", "acl_file", with_acl),
    ];
    for (key, keyword, is_asked) in files {
        match file(around, keyword) {
            Some(said) if is_asked => table.add(key, quoted(&around.paths.of(said.value)), Some(said.line)),
            Some(said) => said.line.needless("no listener that is in force asks for it"),
            None => {}
        }
    }
    let mut tables: Vec<Table<'a>> = if table.entries.is_empty() { Vec::new() } else { vec![table] };
    if with_acl {
        let without = in_force.iter().filter(|made| made.acl_file.is_none());
        tables.extend(without.map(|made| everything(Some(&made.name))));
    } else if in_force.iter().any(|made| made.is_locked) {
        tables.push(everything(None));
    }
    tables
}

/// The file that [`super::who::Files`] has chosen.
fn file<'a>(around: &Around<'a, '_>, keyword: &str) -> Option<Said<'a, &'a str>> {
    let listeners = around.outline.listeners.iter().chain(around.outline.local());
    listeners.into_iter().find_map(|listener| around.outline.access(listener).text(&[keyword]))
}

fn everything<'a>(listener: Option<&str>) -> Table<'a> {
    let mut table = Table::new("[[access.rules]]", None);
    table.note("Without an `acl_file`, mosquitto lets who is let in do everything. Say here what each may do.");
    if let Some(listener) = listener {
        table.add("who", format!("{{ listener = {} }}", quoted(listener)), None);
    }
    table.add("publish", ALL, None);
    table.add("subscribe", ALL_AND_SYS, None);
    table
}
