//! Names that a person gives to bindings, plugins, upstreams and listeners.

use crate::config::problem::Problem;
use crate::config::raw::{Placed, Table};

/// A name stands in topics, log lines and metric labels: short, and without anything that needs quoting there.
const MAX_LENGTH: usize = 64;

pub fn check(table: &Table<'_>, name: &Placed<&str>) {
    let text = *name.get_ref();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !text.is_empty() && text.len() <= MAX_LENGTH && text.chars().all(plain) {
        return;
    }
    let advice =
        format!("a name has 1 to {MAX_LENGTH} letters, digits, `-` and `_`: it becomes part of topics and metrics");
    table.add(Problem::error(name.span(), format!("\"{text}\" cannot be a name")).advice(advice));
}
