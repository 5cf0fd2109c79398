//! Files for Prometheus and Grafana: alert rules that wake at the right moment, and nothing in them that no gateway says.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tidegate_tests::process::finish;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Names of metrics, without what a histogram adds to its own.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
    let metrics = words.filter(|word| word.starts_with("tidegate_") || word.starts_with("process_"));
    metrics.map(|word| word.strip_suffix("_bucket").unwrap_or(word).to_owned()).collect()
}

#[test]
fn alert_rules_wake_when_they_should_and_only_then() {
    for arguments in [["check", "rules", "tidegate.rules.yml"], ["test", "rules", "tidegate.test.yml"]] {
        let mut promtool = Command::new("promtool");
        promtool.args(arguments).current_dir(repository().join("packaging/prometheus"));
        let finished = finish("promtool", &mut promtool);
        assert_eq!(finished.code, Some(0), "{finished:?}");
    }
}

#[test]
fn rules_and_dashboard_ask_for_metrics_that_there_are() {
    let page = read("docs/watch.md");
    for file in ["packaging/prometheus/tidegate.rules.yml", "packaging/grafana/tidegate.json"] {
        let names = named(&read(file));
        assert!(names.len() > 10, "{file}: {names:?}");
        let unknown: Vec<_> = names.iter().filter(|name| !page.contains(&format!("| `{name}` | "))).collect();
        assert!(unknown.is_empty(), "{file}: not in docs/watch.md: {unknown:?}");
    }
    let dashboard: serde_json::Value = serde_json::from_str(&read("packaging/grafana/tidegate.json")).unwrap();
    assert!(dashboard["panels"].as_array().is_some_and(|panels| panels.len() > 10));
}
