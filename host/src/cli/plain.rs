//! The last thing before a terminal: no control character of somebody else gets through, whatever a command has forgotten to escape.
//!
//! ESC and the rest of C0, DEL, and C1, which is one character of two bytes: U+009B begins a terminal's command as ESC and `[` do. They are written as
//! `\u009b`, which is the same text to who reads JSON. Line ends and tabs stay.

use std::io::{self, Write};

/// The first byte of C1 in UTF-8; the second one is 0x80 to 0x9F.
const LEAD: u8 = 0xC2;

/// Writes what is harmless, and the rest by its number.
pub struct Plain<W> {
    to: W,
    /// The last byte was [`LEAD`], and has not been written.
    holds_lead: bool,
}

// === impl Plain ===

impl<W: Write> Plain<W> {
    pub fn new(to: W) -> Self {
        Self { to, holds_lead: false }
    }

    fn filter(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        for byte in bytes {
            let held = std::mem::take(&mut self.holds_lead);
            match *byte {
                0x80..=0x9F if held => out.extend(by_number(*byte)),
                byte => {
                    out.extend(held.then_some(LEAD));
                    match byte {
                        LEAD => self.holds_lead = true,
                        b'\n' | b'\t' => out.push(byte),
                        0..=0x1F | 0x7F => out.extend(by_number(byte)),
                        _ => out.push(byte),
                    }
                }
            }
        }
        out
    }
}

impl<W: Write> Write for Plain<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let out = self.filter(bytes);
        self.to.write_all(&out)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Of a text for stderr.
pub fn plain(text: &str) -> String {
    let filtered = Plain::new(io::sink()).filter(text.as_bytes());
    String::from_utf8_lossy(&filtered).into_owned()
}

fn by_number(byte: u8) -> Vec<u8> {
    format!("\\u{byte:04x}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_written_by_its_number_and_text_stays() {
        assert_eq!(plain("\u{1b}[2J\r\u{7f}\u{9b}31m\u{85}"), "\\u001b[2J\\u000d\\u007f\\u009b31m\\u0085");
        assert_eq!(plain("a\tgrößer © 測\n"), "a\tgrößer © 測\n");
    }

    #[test]
    fn a_character_that_comes_in_two_pieces_is_found() {
        let mut out = Vec::new();
        let mut plain = Plain::new(&mut out);
        for byte in "é\u{9b}©".as_bytes() {
            plain.write_all(&[*byte]).unwrap();
        }
        assert_eq!(String::from_utf8(out).unwrap(), "é\\u009b©");
    }

    #[test]
    fn json_is_the_same_json() {
        let value = serde_json::json!({ "topic": "\u{9b}\u{1b}\u{7f}é" });
        let written = plain(&format!("{value:#}"));
        assert!(written.is_ascii() || !written.contains('\u{9b}'));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&written).unwrap(), value);
    }
}
