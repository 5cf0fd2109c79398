//! A table for people who have to decide, printed while it grows and kept in `docs/reliability.md`.

use std::fs;
use std::path::Path;
use std::process::Command;

use tidegate_tests::trial::Outcome;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reliability.md");

/// Where in the document results stand: between two lines, of which the first says how they are made.
pub struct Place {
    begin: &'static str,
    end: &'static str,
}

pub const RESULTS: Place = Place {
    begin: "<!-- results: written by `cargo test --workspace --test reliability` -->",
    end: "<!-- end of results -->",
};

pub const LOADS: Place = Place {
    begin: "<!-- loads: written by `cargo test --workspace --test reliability -- loads` -->",
    end: "<!-- end of loads -->",
};

/// One part of the results: a title, a sentence, a table.
pub struct Report {
    title: String,
    said: String,
    rows: Vec<Vec<String>>,
}

// === impl Report ===

impl Report {
    pub fn new(title: &str, columns: &[&str]) -> Self {
        println!("\n{title}");
        let mut report = Self { title: title.to_owned(), said: String::new(), rows: Vec::new() };
        report.row(columns);
        report
    }

    pub fn row(&mut self, cells: &[&str]) {
        println!("  {}", cells.join(" | "));
        self.rows.push(cells.iter().map(|cell| (*cell).to_owned()).collect());
    }

    /// A line in the columns of [`VERDICT`], behind what the part says itself.
    pub fn outcome(&mut self, first: &[&str], outcome: &Outcome) {
        let verdict = &outcome.verdict;
        let repeated = format!("{} of {}", verdict.repeated.len(), outcome.allowed);
        let counts = [verdict.obligations, verdict.lost.len(), verdict.duplicated.len()].map(|count| count.to_string());
        let rest =
            [verdict.wrong.len() + verdict.unknown.len(), verdict.disordered.len()].map(|count| count.to_string());
        let cells = first.iter().copied().chain(counts.iter().map(String::as_str)).chain([repeated.as_str()]);
        self.row(&cells.chain(rest.iter().map(String::as_str)).collect::<Vec<_>>());
    }

    pub fn say(&mut self, sentence: &str) {
        println!("  {sentence}");
        self.said = format!("{}{sentence}\n\n", self.said);
    }

    fn markdown(&self) -> String {
        let line = |cells: &Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut rows = self.rows.iter();
        let head = rows.next().map(|head| format!("{}{}|\n", line(head), "|---".repeat(head.len())));
        format!(
            "### {}\n\n{}{}{}\n",
            self.title,
            self.said,
            head.unwrap_or_default(),
            rows.map(line).collect::<String>()
        )
    }
}

/// What each table of outcomes ends with.
pub const VERDICT: [&str; 6] =
    ["acknowledged", "lost", "twice at QoS 2", "repeated at QoS 1, of allowed", "changed or unknown", "out of order"];

/// Between the markers of the document; the rest of it is written by hand.
pub fn write(Place { begin, end }: &Place, reports: &[Report]) {
    let document = fs::read_to_string(DOCUMENT).expect("docs/reliability.md");
    let (before, rest) = document.split_once(begin).expect("a beginning of the results");
    let (_, after) = rest.split_once(end).expect("an end of the results");
    let results: String = reports.iter().map(Report::markdown).collect();
    let text = format!("{before}{begin}\n{}\n{results}{end}{after}", machine());
    fs::write(DOCUMENT, text).expect("docs/reliability.md can be written");
    println!("\nwritten to docs/reliability.md");
}

/// What the figures were measured on.
fn machine() -> String {
    let built = if cfg!(debug_assertions) { "without optimisation" } else { "with optimisation" };
    format!("{}, {}; the gateway was built {built}.\n", tidegate_tests::machine::describe(), file_system())
}

/// Of the folder in which the gateways keep their data.
fn file_system() -> String {
    let stat = Command::new("stat").args(["-f", "-c", "%T"]).arg(Path::new(&std::env::temp_dir())).output();
    stat.map_or_else(|_| "unknown".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
