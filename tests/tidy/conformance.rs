//! `docs/conformance.md` and the code agree: a statement of the specification that is cited has a row that names the file, and
//! what a row names exists.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use crate::tree::{File, files};

const PAGE: &str = "docs/conformance.md";

/// What Appendix B of both specifications lists.
const STATEMENTS: [(&str, usize); 2] = [("MQTT 5", 251), ("MQTT 3.1.1", 141)];

/// The modules that speak MQTT: where one of their files cites a statement, the row names the file.
const SPEAKING: [&str; 6] = ["mqtt", "ingress", "egress", "bus", "topic", "message.rs"];

/// One statement: where it is kept and tested, or why it is not.
#[derive(Default)]
struct Row {
    files: Vec<String>,
    tests: Vec<String>,
    reason: bool,
}

/// By version and statement: `("MQTT 5", "MQTT-1.5.4-1")`.
type Table = BTreeMap<(String, String), Row>;

#[test]
fn every_statement_has_a_row() {
    let table = table(&page());
    for (version, count) in STATEMENTS {
        let rows: Vec<_> = table.keys().filter(|(of, _)| of == version).collect();
        assert_eq!(rows.len(), count, "{version}");
    }
}

#[test]
fn what_a_row_names_exists() {
    let sources = [files("host/src", &[".rs"]), files("tests", &[".rs"])].concat();
    let declared = Regex::new(r"\bfn (\w+)").unwrap();
    let functions: BTreeSet<&str> = sources
        .iter()
        .flat_map(|file| declared.captures_iter(&file.text))
        .map(|found| found.get(1).unwrap().as_str())
        .collect();
    let mut missing = Vec::new();
    for ((version, statement), row) in table(&page()) {
        let gone = row.files.iter().filter(|named| !sources.iter().any(|file| is_at(&file.path, named)));
        let untested = row.tests.iter().filter(|name| !functions.contains(name.as_str()));
        missing.extend(gone.chain(untested).map(|name| format!("{version} [{statement}]: {name}")));
        let kept = !row.files.is_empty() && !row.tests.is_empty();
        if !kept && !row.reason {
            missing.push(format!("{version} [{statement}]: neither code and test, nor a reason"));
        }
    }
    assert!(missing.is_empty(), "{PAGE} names what is not there:\n{}", missing.join("\n"));
}

#[test]
fn what_is_cited_has_a_row_that_names_the_file() {
    let table = table(&page());
    let sources = [files("host/src", &[".rs"]), files("tests", &[".rs"])].concat();
    let sources = sources.iter().filter(|file| !file.path.starts_with("tests/tidy/"));
    let wrong: Vec<String> = sources.flat_map(|file| unlisted(file, &table)).collect();
    assert!(wrong.is_empty(), "mend the citation or {PAGE}:\n{}", wrong.join("\n"));
}

#[test]
fn a_citation_without_a_row_is_found() {
    let table = table("## MQTT 5\n| MQTT-1.5.4-1 | text | `mqtt/walk.rs` | `a_test` |\n## MQTT 3.1.1\n");
    let file = |path: &str, text: &str| File { path: path.into(), text: text.into() };
    assert!(unlisted(&file("host/src/mqtt/walk.rs", "// [MQTT-1.5.4-1]"), &table).is_empty());
    assert_eq!(unlisted(&file("host/src/mqtt/walk.rs", "// [MQTT-1.5.4-9]"), &table).len(), 1, "no such statement");
    assert_eq!(
        unlisted(&file("host/src/mqtt/walk.rs", "// 3.1.1 [MQTT-1.5.4-1]"), &table).len(),
        1,
        "of no such version"
    );
    assert_eq!(unlisted(&file("host/src/mqtt/ack.rs", "// [MQTT-1.5.4-1]"), &table).len(), 1, "not in the row");
    assert!(unlisted(&file("host/src/plugin/abi.rs", "// [MQTT-1.5.4-1]"), &table).is_empty(), "speaks no MQTT");
}

fn page() -> String {
    files("docs", &["conformance.md"]).remove(0).text
}

fn table(page: &str) -> Table {
    let row = Regex::new(r"^\| (MQTT-[0-9.-]+) \| [^|]+ \| ([^|]+) \| ([^|]+) \|$").unwrap();
    let quoted = Regex::new(r"`([^`]+)`").unwrap();
    let names = |cell: &str| quoted.captures_iter(cell).map(|found| found[1].to_owned()).collect();
    let (mut table, mut version) = (Table::new(), String::new());
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            version = heading.to_owned();
        }
        let Some(found) = row.captures(line) else { continue };
        let (code, tests) = (&found[2], &found[3]);
        let row = Row { files: names(code), tests: names(tests), reason: !tests.starts_with('`') };
        let before = table.insert((version.clone(), found[1].to_owned()), row);
        assert!(before.is_none(), "{version}: two rows for {}", &found[1]);
    }
    table
}

/// Citations are in brackets; those of MQTT 3.1.1 have its number in front.
fn unlisted(file: &File, table: &Table) -> Vec<String> {
    let cited = Regex::new(r"(3\.1\.1 )?\[(MQTT-[^\]]+)\]").unwrap();
    let speaks =
        file.path.strip_prefix("host/src/").is_some_and(|path| SPEAKING.iter().any(|module| path.starts_with(module)));
    let is_test = file.path.contains("/tests/") || file.path.ends_with("/tests.rs");
    let mut wrong = Vec::new();
    for found in cited.captures_iter(&file.text) {
        let version = if found.get(1).is_some() { "MQTT 3.1.1" } else { "MQTT 5" };
        for statement in found[2].split(", ") {
            match table.get(&(version.to_owned(), statement.to_owned())) {
                None => wrong.push(format!("{}: {version} has no [{statement}]", file.path)),
                Some(row) if speaks && !is_test && !row.files.iter().any(|named| is_at(&file.path, named)) => {
                    wrong.push(format!("{}: not in the row of {version} [{statement}]", file.path));
                }
                Some(_) => {}
            }
        }
    }
    wrong
}

/// `named` is the end of a path.
fn is_at(path: &str, named: &str) -> bool {
    path.strip_suffix(named).is_some_and(|before| before.is_empty() || before.ends_with('/'))
}
