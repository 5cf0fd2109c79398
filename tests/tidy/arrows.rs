//! A module of the host imports only what stands below it. So each can be read without those above, and none is in a circle.

use std::collections::BTreeSet;

use regex::Regex;

use crate::tree::{File, files};

/// From the bottom to the top. A new module gets its place here.
const ORDER: &[&str] = &[
    "base",
    "topic",
    "access",
    "tap",
    "message",
    "mqtt",
    "config",
    "metrics",
    "tls",
    "auth",
    "spool",
    "plugin",
    "dead_letter",
    "chain",
    "bus",
    "bindings",
    "ingress",
    "egress",
    "setup",
    "operate",
    "app",
    "sim",
    "cli",
];

#[test]
fn imports_point_downwards() {
    let sources = product();
    let upward: Vec<String> = sources.iter().flat_map(upward).collect();
    assert!(upward.is_empty(), "these import what stands above them (order: {ORDER:?}):\n{}", upward.join("\n"));
}

#[test]
fn every_module_has_a_place_in_the_order() {
    let modules: BTreeSet<String> = product().iter().filter_map(module).collect();
    let unknown: Vec<_> = modules.iter().filter(|name| !ORDER.contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "add to ORDER: {unknown:?}");
}

#[test]
fn an_upward_import_is_found_and_a_downward_one_is_not() {
    let file = |text: &str| File { path: "host/src/bus/mod.rs".into(), text: text.into() };
    assert_eq!(upward(&file("use crate::spool::Record;\n")), Vec::<String>::new());
    assert_eq!(upward(&file("use std::fmt;\nuse crate::cli::run;\n")), ["host/src/bus/mod.rs:2: crate::cli"]);
    assert_eq!(upward(&file("// crate::cli\n")), Vec::<String>::new(), "comments may point anywhere");
    assert_eq!(upward(&file("#[cfg(test)]\nmod tests {\n    use crate::cli;\n}\n")), Vec::<String>::new());
}

/// What is compiled into the binary, without the files that only tests have.
fn product() -> Vec<File> {
    let mut all = files("host/src", &[".rs"]);
    let declared = Regex::new(r"#\[cfg\(test\)\]\s*(?:pub(?:\([^)]*\))? )?mod (\w+);").unwrap();
    let mut tests = Vec::new();
    for file in &all {
        let folder = folder_of(&file.path);
        tests.extend(declared.captures_iter(&file.text).map(|found| format!("{folder}/{}", &found[1])));
    }
    let is_test =
        |path: &str| tests.iter().any(|test| path == format!("{test}.rs") || path.starts_with(&format!("{test}/")));
    all.retain(|file| !is_test(&file.path) && module(file).is_some());
    all
}

/// Where the modules that a file declares are.
fn folder_of(path: &str) -> String {
    let stem = path.trim_end_matches(".rs");
    stem.strip_suffix("/mod").or(stem.strip_suffix("/lib")).unwrap_or(stem).to_owned()
}

/// The top module that a file belongs to; none for the roots of the crates.
fn module(file: &File) -> Option<String> {
    let inside = file.path.strip_prefix("host/src/")?;
    let name = inside.split('/').next()?.trim_end_matches(".rs");
    (!matches!(name, "lib" | "main")).then(|| name.to_owned())
}

fn upward(file: &File) -> Vec<String> {
    let Some(own) = module(file) else { return Vec::new() };
    let place = |name: &str| ORDER.iter().position(|module| *module == name);
    let import = Regex::new(r"\bcrate::(\w+)").unwrap();
    let product = file.text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let mut found = Vec::new();
    for (number, line) in product.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        for name in import.captures_iter(code).map(|found| found[1].to_owned()) {
            if name != own && place(&name) > place(&own) {
                found.push(format!("{}:{}: crate::{name}", file.path, number + 1));
            }
        }
    }
    found
}
