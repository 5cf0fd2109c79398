//! Counts beside those that are written down: what costs more than it did is seen, and fails.

use std::fmt::Write as _;
use std::process::ExitCode;

use super::page;

/// What may be added without a word: compilers and maps have their moods.
const ALLOWANCE: f64 = 0.05;

/// Below this, five hundredths of it are nothing.
const NOTHING: f64 = 0.02;

pub struct Row {
    pub name: String,
    pub counts: Vec<f64>,
}

/// What a program has counted, and where it is written.
pub struct Tally {
    pub command: &'static str,
    pub columns: &'static [&'static str],
    pub rows: Vec<Row>,
}

// === impl Tally ===

impl Tally {
    /// Compares, prints, and writes when it is asked to. A failure when something grew, and is not written.
    pub fn settle(&self, is_written: bool) -> ExitCode {
        let page = page::load();
        let before = page::split(&page, self.command).1;
        let grown = self.rows.iter().filter(|row| row.compare(before)).count();
        if is_written {
            page::write(self.command, &self.table());
            return ExitCode::SUCCESS;
        }
        if grown == 0 {
            return ExitCode::SUCCESS;
        }
        println!("{grown} of {} grew by more than 5 %. When that is meant: `{}`", self.rows.len(), self.command);
        ExitCode::FAILURE
    }

    fn table(&self) -> String {
        let mut text =
            format!("| for one message | {} |\n|{}\n", self.columns.join(" | "), "---|".repeat(self.columns.len() + 1));
        for row in &self.rows {
            let counts: Vec<_> = row.counts.iter().map(|count| shown(*count)).collect();
            let _ = writeln!(text, "| {} | {} |", row.name, counts.join(" | "));
        }
        text
    }
}

// === impl Row ===

impl Row {
    /// Prints it, and says whether it grew.
    fn compare(&self, page: &str) -> bool {
        let before = self.written(page);
        let pairs = self.counts.iter().enumerate().map(|(index, count)| (*count, before.get(index).copied()));
        let words: Vec<_> =
            pairs.clone().map(|(count, before)| format!("{:>10} {:>8}", shown(count), change(count, before))).collect();
        println!("{:<48}{}", self.name, words.concat());
        pairs
            .into_iter()
            .any(|(count, before)| before.is_some_and(|before| count > before * (1.0 + ALLOWANCE) + NOTHING))
    }

    fn written(&self, page: &str) -> Vec<f64> {
        let begin = format!("| {} |", self.name);
        let line = page.lines().find_map(|line| line.strip_prefix(&begin)).unwrap_or_default();
        line.split('|').filter_map(|cell| cell.trim().replace(',', "").parse().ok()).collect()
    }
}

fn change(count: f64, before: Option<f64>) -> String {
    match before {
        None => "new".to_owned(),
        Some(before) if (count - before).abs() <= NOTHING => "=".to_owned(),
        Some(before) => format!("{:+.1} %", (count / before - 1.0) * 100.0),
    }
}

/// Whole numbers where they are large, hundredths where they are few.
fn shown(count: f64) -> String {
    if count < 100.0 { format!("{count:.2}") } else { format!("{count:.0}") }
}
