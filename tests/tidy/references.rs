//! A path or a decision that a comment or a page names exists. Whoever moves a file hears of what pointed to it.

use regex::Regex;

use crate::tree::{File, files, paths};

const READ: [&str; 4] = [".rs", ".md", ".toml", ".wit"];

/// The folders of the root that hold code, and so begin a path.
const TOP: [&str; 6] = ["host", "tests", "plugins", "plugin-sdk", "wit", "docs"];

#[test]
fn paths_that_are_named_exist() {
    let (existing, modules) = (paths(), modules());
    let missing: Vec<String> = files("", &READ).iter().flat_map(|file| missing(file, &existing, &modules)).collect();
    assert!(missing.is_empty(), "no such file or folder:\n{}", missing.join("\n"));
}

#[test]
fn decisions_that_are_named_exist() {
    let existing = paths();
    let named = Regex::new(r"\bdecisions?[ /]+(\d{4})(?:(?: and |, )(\d{4}))*").unwrap();
    let number = Regex::new(r"\d{4}").unwrap();
    let is_there = |number: &str| existing.iter().any(|path| path.starts_with(&format!("docs/decisions/{number}-")));
    let mut missing = Vec::new();
    for file in files("", &READ) {
        for found in named.find_iter(&file.text) {
            let numbers = number.find_iter(found.as_str()).map(|number| number.as_str());
            missing.extend(numbers.filter(|number| !is_there(number)).map(|number| format!("{}: {number}", file.path)));
        }
    }
    assert!(missing.is_empty(), "no such decision:\n{}", missing.join("\n"));
}

#[test]
fn a_path_that_is_gone_is_missed() {
    let existing = ["host/src/bus/mod.rs".to_owned(), "host/src/bus".to_owned()];
    let file = |text: &str| File { path: "docs/page.md".into(), text: text.into() };
    let modules = ["bus".to_owned()];
    assert_eq!(
        missing(&file("see `bus/mod.rs` and `bus/gone.rs`"), &existing, &modules),
        ["docs/page.md: bus/gone.rs"]
    );
    assert_eq!(missing(&file("see `bus/gone`, not `data/gone`"), &existing, &modules), ["docs/page.md: bus/gone"]);
}

/// The top modules of the host: what a path in prose begins with.
fn modules() -> Vec<String> {
    let inside = paths().into_iter().filter_map(|path| Some(path.strip_prefix("host/src/")?.to_owned()));
    inside.filter(|path| !path.contains('/')).map(|path| path.trim_end_matches(".rs").to_owned()).collect()
}

/// In backticks: whatever ends with `.rs`, and what begins like a path of ours. A changelog may name what was.
fn missing(file: &File, existing: &[String], modules: &[String]) -> Vec<String> {
    if file.path == "CHANGELOG.md" || file.path == "tests/tidy/references.rs" {
        return Vec::new();
    }
    let path = Regex::new(r"`([a-z0-9_-]+(?:/[a-z0-9_-]+)*\.rs|[a-z0-9_-]+(?:/[a-z0-9_-]+)+)(?::\d+)?`").unwrap();
    let begins_like_ours = |named: &str| {
        let first = named.split('/').next().unwrap_or_default();
        TOP.contains(&first) || modules.iter().any(|module| module == first)
    };
    let is_there = |named: &str| {
        let tails = [format!("/{named}"), format!("/{named}.rs")];
        existing.iter().any(|path| path == named || tails.iter().any(|tail| path.ends_with(tail)))
    };
    let named = path.captures_iter(&file.text).map(|found| found[1].to_owned());
    let ours = named.filter(|named| named.ends_with(".rs") || begins_like_ours(named));
    ours.filter(|named| !is_there(named)).map(|named| format!("{}: {named}", file.path)).collect()
}
