//! Words of somebody else, as they may stand in a log line, a status, or a dead letter: escaped, and not too many.
//!
//! Whoever is at the other end of a connection chooses them. Control characters, those of C1 too, would move the cursor of a terminal, and
//! a text of 64 KiB in each attempt to connect would fill the disk.

use std::fmt::{self, Write};

/// Bytes, escaped.
pub const MOST: usize = 1_000;

/// Bytes of a name in a line of the log, which may have a client's, a topic and some words more: a kilobyte together.
const NAME: usize = 240;

/// Shows at most [`MOST`] bytes of a text.
pub struct Excerpt<'a>(pub &'a str);

/// The same for a name that stands beside others.
pub struct Brief<'a>(&'a str);

/// A client identifier or a topic, as a field of a log line.
pub fn brief<T: AsRef<str> + ?Sized>(name: &T) -> Brief<'_> {
    Brief(name.as_ref())
}

// === impl Excerpt ===

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_escaped(self.0, MOST, f)
    }
}

fn write_escaped(text: &str, most: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut left = most;
    for character in text.chars() {
        // Quotation marks do no harm, and `escape_debug` would put a backslash before each.
        let plain = matches!(character, '\'' | '"');
        let size = if plain { 1 } else { character.escape_debug().map(char::len_utf8).sum() };
        if size > left {
            return f.write_char('…');
        }
        left -= size;
        if plain { f.write_char(character)? } else { write!(f, "{}", character.escape_debug())? }
    }
    Ok(())
}

impl fmt::Debug for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

// === impl Brief ===

impl fmt::Debug for Brief<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        write_escaped(self.0, NAME, f)?;
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_line_are_less_than_a_kilobyte_together() {
        let long = "\u{9b}x".repeat(30_000);
        let line = format!("{:?} {:?}", brief(&long), brief(long.as_str()));
        assert!(line.len() < 500 && line.contains('…'), "{}", line.len());
    }

    #[test]
    fn what_a_terminal_would_obey_is_escaped_and_what_people_write_is_not() {
        assert_eq!(Excerpt("\u{1b}[2J\u{9b}31m\u{202e}\0\n").to_string(), "\\u{1b}[2J\\u{9b}31m\\u{202e}\\0\\n");
        assert_eq!(Excerpt("größer als \"10\", 'ß' – 測").to_string(), "größer als \"10\", 'ß' – 測");
    }

    #[test]
    fn it_is_cut_at_a_character_however_much_there_is() {
        for text in ["x".repeat(60_000), "é".repeat(60_000), "\u{9b}".repeat(60_000)] {
            let shown = Excerpt(&text).to_string();
            assert!(
                (MOST - 10..=MOST + '…'.len_utf8()).contains(&shown.len()) && shown.ends_with('…'),
                "{}",
                shown.len()
            );
        }
        assert_eq!(Excerpt(&"x".repeat(MOST)).to_string(), "x".repeat(MOST));
    }
}
