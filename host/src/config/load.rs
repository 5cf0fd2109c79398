//! From a file to a [`Config`], or to all of its problems.

use std::fs;
use std::path::Path;

use toml::de::DeTable;

use super::check;
use super::checked::Config;
use super::problem::{Problem, Problems, Severity};
use super::raw::{Reader, Table};

/// Reads and checks a file. Relative paths in it begin at its folder.
pub fn load(path: &Path) -> Result<Config, Problems> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|error| Problems::unreadable(&name, &error))?;
    parse(&text, &name, path.parent().unwrap_or(Path::new("")))
}

/// Checks a text. Warnings are in the [`Config`]; with an error, they stand among the problems.
pub fn parse(text: &str, file_name: &str, base_dir: &Path) -> Result<Config, Problems> {
    let (document, mistakes) = DeTable::parse_recoverable(text);
    if !mistakes.is_empty() {
        // Only these: a table that was not understood would look as if its keys were missing.
        let list = mistakes.iter().map(|mistake| syntax(mistake, text)).collect();
        return Err(Problems::new(file_name, text, list));
    }
    let reader = Reader::new(base_dir, file_name, text);
    let config = check::config(&Table::root(&reader, document.get_ref()));
    let problems = Problems::new(file_name, text, reader.into_problems());
    match config {
        Some(config) if problems.count(Severity::Error) == 0 => Ok(Config { warnings: problems, ..config }),
        _ => Err(problems),
    }
}

fn syntax(mistake: &toml::de::Error, text: &str) -> Problem {
    let span = mistake.span().unwrap_or(text.len()..text.len());
    let sentence = format!("this is not TOML: {}", mistake.message().lines().next().unwrap_or("syntax error"));
    Problem::error(span, sentence).advice("fix this first; what the file means is looked at afterwards")
}
