//! What was not taken over, line by line: at the end of the output, and to who started the command.

use std::fmt::Write as _;

use super::draft::one_line;
use super::line::{Fate, Line};

pub struct Report {
    /// Each with what it was, why, and what to do.
    left: Vec<(String, String, String)>,
    needless: Vec<(String, String)>,
    taken: usize,
}

// === impl Report ===

impl Report {
    pub fn new(lines: &[Line]) -> Self {
        let mut report = Self { left: Vec::new(), needless: Vec::new(), taken: 0 };
        for line in lines {
            match line.fate() {
                Fate::Left { why, todo } => report.left.push((line.to_string(), why, todo)),
                Fate::Needless(why) => report.needless.push((line.to_string(), why)),
                Fate::Taken | Fate::Unasked => report.taken += 1,
            }
        }
        report
    }

    pub fn has_left(&self) -> bool {
        !self.left.is_empty()
    }

    /// Of all lines that are no comments.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.left.len() + self.needless.len() + self.taken
    }

    /// As comments of the output.
    pub fn comments(&self) -> String {
        let mut text = String::new();
        if !self.left.is_empty() {
            text += "\n# Not taken over, why, and what to do:\n";
        }
        for (line, why, todo) in &self.left {
            let _ = write!(
                text,
                "#\n# {}\n#   {}.\n#   To do: {}\n",
                one_line(line),
                one_line(why),
                ended(&one_line(todo))
            );
        }
        if !self.needless.is_empty() {
            text += "\n# Nothing has to be done for these:\n#\n";
        }
        for (line, why) in &self.needless {
            let _ = writeln!(text, "# {}\n#   {}.", one_line(line), one_line(why));
        }
        text
    }

    /// For stderr.
    pub fn talk(&self) -> String {
        let mut text = String::new();
        for (line, why) in &self.needless {
            let _ = writeln!(text, "{line}: nothing to do: {why}");
        }
        for (line, why, todo) in &self.left {
            let _ = writeln!(text, "{line}: not taken over: {why}\n    to do: {todo}");
        }
        let _ = write!(
            text,
            "{} taken over, {} with nothing to do, {} left to you",
            counted(self.taken),
            self.needless.len(),
            self.left.len()
        );
        text
    }
}

/// A sentence; some are questions.
fn ended(sentence: &str) -> String {
    if sentence.ends_with('?') { sentence.to_owned() } else { format!("{sentence}.") }
}

fn counted(number: usize) -> String {
    if number == 1 { "1 line".to_owned() } else { format!("{number} lines") }
}
