//! From a file to a [`Config`], or to all of its problems.

use std::fs;
use std::path::Path;
use std::string::FromUtf8Error;

use toml::de::DeTable;

use super::check;
use super::checked::Config;
use super::foreign;
use super::problem::{Problem, Problems, Severity};
use super::raw::{Reader, Table};

/// Reads and checks a file. Relative paths in it begin at its folder.
pub fn load(path: &Path) -> Result<Config, Problems> {
    let name = path.display().to_string();
    let bytes = fs::read(path).map_err(|error| Problems::unreadable(&name, &error))?;
    let text = String::from_utf8(bytes).map_err(|error| not_utf8(&name, &error))?;
    parse(&text, &name, path.parent().unwrap_or(Path::new("")))
}

/// Drawn where the first wrong byte is. All before it is the same in the text that is shown.
fn not_utf8(name: &str, error: &FromUtf8Error) -> Problems {
    let text = String::from_utf8_lossy(error.as_bytes());
    let at = error.utf8_error().valid_up_to();
    let problem = Problem::error(at..at + char::REPLACEMENT_CHARACTER.len_utf8(), "this is not UTF-8");
    Problems::new(
        name,
        text,
        vec![problem.advice("save the file as UTF-8; `iconv -f LATIN1 -t UTF-8` makes it of Latin-1")],
    )
}

/// Checks a text. Warnings are in the [`Config`]; with an error, they stand among the problems.
pub fn parse(text: &str, file_name: &str, base_dir: &Path) -> Result<Config, Problems> {
    let (document, mistakes) = DeTable::parse_recoverable(text);
    if !mistakes.is_empty() {
        // Only these: a table that was not understood would look as if its keys were missing.
        let foreign = foreign::advice(text, file_name);
        // Each line of another language is wrong: the first is enough.
        let told = if foreign.is_some() { 1 } else { mistakes.len() };
        let list = mistakes.iter().take(told).map(|mistake| syntax(mistake, text, foreign.as_deref())).collect();
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

fn syntax(mistake: &toml::de::Error, text: &str, foreign: Option<&str>) -> Problem {
    let span = mistake.span().unwrap_or(text.len()..text.len());
    let sentence = format!("this is not TOML: {}", mistake.message().lines().next().unwrap_or("syntax error"));
    Problem::error(span, sentence)
        .advice(foreign.unwrap_or("fix this first; what the file means is looked at afterwards"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_another_encoding_says_where_and_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.toml");
        fs::write(&path, b"[gateway]\nid = \"gr\xf6sse\"\n").unwrap();
        let drawn = load(&path).unwrap_err().to_string();
        assert!(
            drawn.contains("this is not UTF-8") && drawn.contains("gateway.toml:2:9") && drawn.contains("iconv"),
            "{drawn}"
        );
    }
}
