//! The lines that are about one thing - the broker, a listener, a connection - to be asked by keyword.
//!
//! A question takes the line that it finds. The last one counts, as it does in mosquitto for most keywords; where mosquitto
//! refuses a second one, nobody has such a file.

use super::line::{Line, Said};

#[derive(Clone, Default)]
pub struct Section<'a> {
    lines: Vec<&'a Line>,
}

/// What an MQTT string has room for, and mosquitto's configuration, too.
const LONGEST: usize = u16::MAX as usize;

// === impl Section ===

impl<'a> Section<'a> {
    pub fn push(&mut self, line: &'a Line) {
        self.lines.push(line);
    }

    pub fn lines(&self) -> impl Iterator<Item = &'a Line> {
        self.lines.iter().copied()
    }

    pub fn all<'b>(&'b self, keyword: &'b str) -> impl Iterator<Item = &'a Line> + 'b {
        self.lines.iter().copied().filter(move |line| line.keyword == keyword)
    }

    /// Of one of these keywords, which mean the same.
    pub fn last(&self, keywords: &[&str]) -> Option<&'a Line> {
        let mut found: Option<&'a Line> = None;
        for line in self.lines.iter().copied().filter(|line| keywords.contains(&line.keyword.as_str())) {
            if let Some(earlier) = found.replace(line) {
                let why = format!("a later line says it again: {}", line.place);
                earlier.leave(why, "remove the one that is not meant");
            }
        }
        found
    }

    pub fn text(&self, keywords: &[&str]) -> Option<Said<'a, &'a str>> {
        let line = self.last(keywords)?;
        if line.value.is_empty() || line.value.len() > LONGEST {
            line.leave("mosquitto refuses this value", "correct it, and import again");
            return None;
        }
        line.take();
        Some(Said { value: line.value.as_str(), line })
    }

    pub fn word(&self, keywords: &[&str]) -> Option<Said<'a, &'a str>> {
        let Said { value, line } = self.text(keywords)?;
        Some(Said { value: value.split([' ', '\t']).next().unwrap_or(value), line })
    }

    pub fn flag(&self, keyword: &str) -> Option<Said<'a, bool>> {
        let Said { value, line } = self.word(&[keyword])?;
        let value = match value {
            "true" | "1" => true,
            "false" | "0" => false,
            _ => {
                line.leave("mosquitto refuses this value", "write true or false, and import again");
                return None;
            }
        };
        Some(Said { value, line })
    }

    /// Whether it says so, and where.
    pub fn is_on(&self, keyword: &str) -> Option<&'a Line> {
        self.flag(keyword).filter(|said| said.value).map(|said| said.line)
    }

    pub fn number(&self, keyword: &str) -> Option<Said<'a, i64>> {
        let Said { value, line } = self.word(&[keyword])?;
        let Ok(value) = value.parse() else {
            line.leave("this is no number", "write one, and import again");
            return None;
        };
        Some(Said { value, line })
    }

    /// All of it is not taken over.
    pub fn leave(&self, why: &str, todo: &str) {
        self.lines.iter().for_each(|line| line.leave(why, todo));
    }
}
