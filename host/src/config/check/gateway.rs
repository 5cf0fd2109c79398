//! `[gateway]`: who this gateway is, and where its data lives.

use std::fs;

use crate::config::checked::Gateway;
use crate::config::defaults::DATA_DIR;
use crate::config::problem::Problem;
use crate::config::raw::Table;

/// The id is a level of topics and a part of the client identifier at upstreams.
const MAX_ID: usize = 64;

pub fn check(table: &Table<'_>) -> Option<Gateway> {
    let id = id(table);
    let data_dir = table.folder("data_dir", DATA_DIR);
    table.finish();
    Some(Gateway { id: id?, data_dir })
}

fn id(table: &Table<'_>) -> Option<String> {
    let Some(typed) = table.text("id") else { return host_name_or_problem(table) };
    let id = *typed.get_ref();
    if fits(id) {
        return Some(id.to_owned());
    }
    let advice = format!("use 1 to {MAX_ID} letters, digits, `-`, `_` and `.`: it becomes a level of topics");
    table.add(Problem::error(typed.span(), format!("\"{id}\" cannot be a gateway's id")).advice(advice));
    None
}

/// The host name: two gateways that were set up from the same image then still differ, as upstreams need it.
fn host_name_or_problem(table: &Table<'_>) -> Option<String> {
    let found = host_name().filter(|name| fits(name));
    if found.is_none() {
        table.missing("id", "this machine has no host name that could serve: set `id` under `[gateway]`");
    }
    found
}

fn host_name() -> Option<String> {
    let read = |path: &str| fs::read_to_string(path).ok();
    let name = read("/proc/sys/kernel/hostname").or_else(|| read("/etc/hostname"))?;
    Some(name.trim().to_owned())
}

fn fits(id: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !id.is_empty() && id.len() <= MAX_ID && id.chars().all(plain)
}
