//! The last thing before a terminal: no control character of somebody else gets through, whatever has forgotten to escape it.
//!
//! ESC and the rest of C0, DEL, and C1, which is one character of two bytes: U+009B begins a terminal's command as ESC and `[` do. They are written as
//! `\u009b`, which is the same text to who reads JSON. Line ends and tabs stay.

use std::io::{self, Write};

/// The first byte of C1 in UTF-8; the second one is 0x80 to 0x9F.
const LEAD: u8 = 0xC2;

const ESC: u8 = 0x1B;

/// Writes what is harmless, and the rest by its number.
pub struct Plain<W> {
    to: W,
    /// ESC goes through: who writes has colours of its own, and has escaped it in what others say.
    is_styled: bool,
    /// The last byte was [`LEAD`], and has not been written.
    holds_lead: bool,
}

// === impl Plain ===

impl<W: Write> Plain<W> {
    pub fn new(to: W) -> Self {
        Self { to, is_styled: false, holds_lead: false }
    }

    /// For a writer that draws with colours.
    pub fn styled(to: W) -> Self {
        Self { is_styled: true, ..Self::new(to) }
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
                        ESC if self.is_styled => out.push(byte),
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
    fn a_writer_with_colours_keeps_them_and_nothing_else() {
        let mut out = Vec::new();
        Plain::styled(&mut out).write_all("\u{1b}[31mred\r\u{9b}0m".as_bytes()).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "\u{1b}[31mred\\u000d\\u009b0m");
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
