//! `[plugins.NAME]`: a component, its limits, and its own configuration.

use super::{grants, json, limits, name};
use crate::config::checked::Plugin;
use crate::config::problem::Problem;
use crate::config::raw::{Placed, Table};

/// All names in the order of the file, and the plugins that have no problem.
pub fn check_all<'a>(root: &Table<'a>) -> (Vec<Placed<&'a str>>, Vec<Plugin>) {
    let (mut names, mut plugins) = (Vec::new(), Vec::new());
    for (name, table) in root.named("plugins") {
        name::check(&table, &name);
        plugins.extend(check(&table, name.get_ref()));
        table.finish();
        names.push(name);
    }
    (names, plugins)
}

fn check(table: &Table<'_>, name: &str) -> Option<Plugin> {
    let component = table.file_to_come("component", "`tidegate plugin build` makes components from source");
    if table.value("component").is_none() {
        table.missing("component", "name the file: `component = \"plugins/threshold.wasm\"`");
    }
    let sha256 = sha256(table);
    let downgrade_to = downgrade_to(table);
    let limits = limits::plugin(&table.table("limits"));
    let grants = grants::check(table);
    let config_json = json::of_table(&table.table("config"));
    let component = component?;
    Some(Plugin { name: name.to_owned(), component, sha256, downgrade_to, limits, grants, config_json, code: None })
}

/// In lower case, as every tool prints it.
fn sha256(table: &Table<'_>) -> Option<String> {
    let typed = table.text("sha256")?;
    let digest = typed.get_ref().to_ascii_lowercase();
    if digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Some(digest);
    }
    let sentence = "`sha256` must be 64 hexadecimal digits";
    let advice = "copy it from `tidegate plugin build` or `sha256sum FILE`";
    table.add(Problem::error(typed.span(), sentence).advice(advice));
    None
}

/// Exactly one version: a permission for any older one would still stand when somebody puts in the oldest.
fn downgrade_to(table: &Table<'_>) -> Option<String> {
    let typed = table.text("downgrade_to")?;
    let text = *typed.get_ref();
    if matches!(text, "unsigned" | "unversioned") || semver::Version::parse(text).is_ok() {
        return Some(text.to_owned());
    }
    let advice =
        "write the version to go back to, such as \"1.2.3\", as the refusal shows it; or \"unversioned\", \"unsigned\"";
    table.add(Problem::error(typed.span(), format!("`downgrade_to` cannot be \"{text}\"")).advice(advice));
    None
}
