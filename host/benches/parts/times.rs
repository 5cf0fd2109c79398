//! From criterion's files to a table: it writes each median into a folder of its own.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::shared::page;

const COMMAND: &str = "cargo bench --workspace --bench parts -- --write";

/// `benchmark.json`.
#[derive(Deserialize)]
struct Benchmark {
    full_id: String,
    throughput: Option<Throughput>,
}

#[derive(Deserialize)]
struct Throughput {
    #[serde(rename = "Elements")]
    elements: u64,
}

/// `estimates.json`; nanoseconds for all messages of an iteration.
#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
}

/// What was measured since `begun`, in that order.
pub fn write(folder: &Path, begun: SystemTime) {
    let mut found = Vec::new();
    find(folder, &mut found);
    found.retain(|(time, _)| *time >= begun);
    found.sort();
    let measured: Vec<_> = found.iter().map(|(_, folder)| median(folder)).collect();
    let mut text = "| part | one message | messages/s |\n|---|---|---|\n".to_owned();
    for (id, one) in &measured {
        let name = id.replacen('/', ": ", 1).replace('/', ", ");
        let _ = writeln!(text, "| {name} | {} | {} |", nanos(*one), rate(1e9 / one));
    }
    let of = |id: &str| measured.iter().find(|(name, _)| name == id).map_or(f64::NAN, |(_, one)| *one);
    let ratio = of("plugin/JSON filter and convert/32") / of("plugin/JSON filter and convert, native");
    let _ = writeln!(text, "\nIn a plugin, 32 in a batch, the JSON work takes **{ratio:.2}x** its native time.");
    page::write(COMMAND, &text);
    println!("{text}");
}

/// The name of a benchmark, and the nanoseconds of one message.
fn median(folder: &Path) -> (String, f64) {
    let benchmark: Benchmark = read(&folder.join("benchmark.json"));
    let estimates: Estimates = read(&folder.join("estimates.json"));
    let messages = benchmark.throughput.map_or(1, |throughput| throughput.elements);
    (benchmark.full_id, estimates.median.point_estimate / messages as f64)
}

/// Folders called `new`, with the time when they were filled.
fn find(folder: &Path, found: &mut Vec<(SystemTime, PathBuf)>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let filled = fs::metadata(path.join("estimates.json")).and_then(|file| file.modified());
        match filled {
            Ok(time) if path.ends_with("new") => found.push((time, path)),
            _ if path.is_dir() => find(&path, found),
            _ => {}
        }
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> T {
    let file = File::open(path).expect("a file of criterion");
    serde_json::from_reader(file).expect("JSON as criterion 0.8 writes it")
}

fn nanos(nanos: f64) -> String {
    if nanos < 9_999.5 { format!("{nanos:.0} ns") } else { format!("{:.1} us", nanos / 1e3) }
}

fn rate(per_second: f64) -> String {
    if per_second < 1e6 { format!("{:.1}k", per_second / 1e3) } else { format!("{:.1}M", per_second / 1e6) }
}
