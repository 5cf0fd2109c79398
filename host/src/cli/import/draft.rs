//! The configuration that is being written: tables of settings, each below the lines that it comes from.
//!
//! Text, and no values of `toml`: the comments are half of it.

use std::fmt::Write as _;

use super::line::Line;
use crate::base::plain::plain;

#[derive(Default)]
pub struct Draft<'a> {
    pub tables: Vec<Table<'a>>,
    pub secrets: Vec<Secret>,
}

pub struct Table<'a> {
    /// `[broker.listeners.web]`
    pub header: String,
    pub from: Vec<&'a Line>,
    pub notes: Vec<String>,
    pub entries: Vec<Entry<'a>>,
    /// It stands there as a comment, ready to be completed.
    pub held: Option<Hold>,
}

pub struct Entry<'a> {
    pub key: &'static str,
    /// As TOML has it.
    pub value: String,
    pub from: Vec<&'a Line>,
    pub notes: Vec<String>,
}

/// Why a table cannot be in force as it is: it would open what mosquitto keeps closed, or would not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    pub why: String,
    pub todo: String,
}

/// A file beside the configuration that its user alone may read.
pub struct Secret {
    pub file: String,
    pub text: String,
}

// === impl Draft ===

impl Draft<'_> {
    pub fn render(&self) -> String {
        self.tables.iter().map(|table| format!("\n{}", table.render())).collect()
    }
}

// === impl Table ===

impl<'a> Table<'a> {
    pub fn new(header: impl Into<String>, from: Option<&'a Line>) -> Self {
        let (notes, entries) = (Vec::new(), Vec::new());
        Self { header: header.into(), from: from.into_iter().collect(), notes, entries, held: None }
    }

    pub fn add(&mut self, key: &'static str, value: impl Into<String>, from: impl IntoIterator<Item = &'a Line>) {
        let from = from.into_iter().collect();
        self.entries.push(Entry { key, value: value.into(), from, notes: Vec::new() });
    }

    /// What is to be known of the setting that was added last.
    pub fn note(&mut self, note: impl Into<String>) {
        let notes = self.entries.last_mut().map_or(&mut self.notes, |entry| &mut entry.notes);
        notes.push(note.into());
    }

    /// The first reason is the one that is told.
    pub fn hold(&mut self, hold: Hold) {
        self.held.get_or_insert(hold);
    }

    fn render(&self) -> String {
        let mut text = String::new();
        comment(&mut text, &self.from, &self.notes);
        if let Some(Hold { why, todo }) = &self.held {
            comment(&mut text, &[], &[format!("Not in force: {why}."), format!("To do: {todo}.")]);
        }
        let mark = if self.held.is_some() { "#" } else { "" };
        let _ = writeln!(text, "{mark}{}", self.header);
        for Entry { key, value, from, notes } in &self.entries {
            comment(&mut text, from, notes);
            let _ = writeln!(text, "{mark}{key} = {value}");
        }
        text
    }
}

// === impl Hold ===

impl Hold {
    pub fn new(why: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { why: why.into(), todo: todo.into() }
    }
}

fn comment(text: &mut String, from: &[&Line], notes: &[String]) {
    let from = from.iter().map(|line| line.to_string());
    for line in from.chain(notes.iter().cloned()) {
        let _ = writeln!(text, "# {}", one_line(&line));
    }
}

/// What a comment may hold.
pub fn one_line(text: &str) -> String {
    plain(&text.replace(['\n', '\t'], " "))
}

/// A string of TOML. JSON's escapes are among its own; DEL, which only JSON lets stand, is escaped here.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

pub fn list<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    let quoted: Vec<String> = texts.into_iter().map(|text| quoted(text.as_ref())).collect();
    format!("[{}]", quoted.join(", "))
}

/// One, or a list of several.
pub fn one_or_list(texts: &[String]) -> String {
    if let [text] = texts { quoted(text) } else { list(texts) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_is_the_same_text_in_toml() {
        for text in ["a\"b\\c", "tab\there", "\u{7f}\u{1}\u{85}é", "'''", "{topic}"] {
            let document = format!("x = {}", quoted(text));
            let value: toml::Value = toml::from_str(&document).unwrap();
            assert_eq!(value["x"].as_str(), Some(text), "{document}");
        }
    }

    #[test]
    fn what_is_held_is_a_comment() {
        let mut table = Table::new("[upstreams.x]", None);
        table.add("url", quoted("mqtt://x"), None);
        table.hold(Hold::new("why", "todo"));
        table.hold(Hold::new("other", "other"));
        let text = table.render();
        assert!(text.lines().all(|line| line.starts_with('#')) && text.contains("#url = \"mqtt://x\""), "{text}");
        assert!(text.contains("Not in force: why.") && !text.contains("other"), "{text}");
    }
}
