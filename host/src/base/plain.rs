//! The last thing before a terminal: no control character of somebody else gets through, whatever has forgotten to escape it.
//!
//! ESC and the rest of C0, DEL, and C1, which is one character of two bytes: U+009B begins a terminal's command as ESC and `[` do. Those that
//! turn the direction of a text around, or end its line, let it be read as another one. They are written as `\u009b`, which is the same text to
//! who reads JSON. Line ends and tabs stay; in a sentence that is one line ([`line`]), line ends are somebody else's, too.

use std::io::{self, Write};

const ESC: u8 = 0x1B;

/// Writes what is harmless, and the rest by its number.
pub struct Plain<W> {
    to: W,
    /// ESC goes through: who writes has colours of its own, and has escaped it in what others say.
    is_styled: bool,
    /// The first bytes of a character that may have to be escaped, not written yet; 0 without any.
    held: u16,
}

/// What the next byte of a character makes of those before it.
enum Next {
    Held(u16),
    Hidden(u32),
    Harmless,
}

// === impl Plain ===

impl<W: Write> Plain<W> {
    pub fn new(to: W) -> Self {
        Self { to, is_styled: false, held: 0 }
    }

    /// For a writer that draws with colours.
    pub fn styled(to: W) -> Self {
        Self { is_styled: true, ..Self::new(to) }
    }

    fn filter(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        for byte in bytes {
            let held = std::mem::take(&mut self.held);
            match next(held, *byte) {
                Next::Held(more) => self.held = more,
                Next::Hidden(number) => out.extend(by_number(number)),
                Next::Harmless => {
                    out.extend(held.to_be_bytes().into_iter().filter(|byte| *byte != 0));
                    self.begin(*byte, &mut out);
                }
            }
        }
        out
    }

    /// A byte that goes on with nothing that is held.
    fn begin(&mut self, byte: u8, out: &mut Vec<u8>) {
        match byte {
            0xC2 | 0xD8 | 0xE2 => self.held = byte.into(),
            b'\n' | b'\t' => out.push(byte),
            ESC if self.is_styled => out.push(byte),
            0..=0x1F | 0x7F => out.extend(by_number(byte.into())),
            _ => out.push(byte),
        }
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

/// C1; U+061C; U+200E and U+200F, U+2028 to U+202E, U+2066 to U+2069.
fn next(held: u16, byte: u8) -> Next {
    let low = u32::from(byte & 0x3F);
    match (held, byte) {
        (0xC2, 0x80..=0x9F) => Next::Hidden(byte.into()),
        (0xD8, 0x9C) => Next::Hidden(0x061C),
        (0xE2, 0x80 | 0x81) => Next::Held(held << 8 | u16::from(byte)),
        (0xE280, 0x8E | 0x8F | 0xA8..=0xAE) => Next::Hidden(0x2000 | low),
        (0xE281, 0xA6..=0xA9) => Next::Hidden(0x2040 | low),
        _ => Next::Harmless,
    }
}

/// Of a text for stderr.
pub fn plain(text: &str) -> String {
    let filtered = Plain::new(io::sink()).filter(text.as_bytes());
    String::from_utf8_lossy(&filtered).into_owned()
}

/// Of a sentence that has no line end of its own: one in it would begin a line that looks like another sentence of ours.
pub fn line(text: &str) -> String {
    plain(text).replace('\n', "\\u000a")
}

fn by_number(number: u32) -> Vec<u8> {
    format!("\\u{number:04x}").into_bytes()
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
    fn what_turns_a_text_around_or_ends_its_line_is_written_by_its_number() {
        assert_eq!(plain("\u{202e}\u{2066}\u{200f}\u{61c}\u{2028}"), "\\u202e\\u2066\\u200f\\u061c\\u2028");
        // Their neighbours, and beginnings of characters that others follow.
        let harmless = "\u{2010}\u{2027}\u{202f}\u{2060}\u{61b}“–…”";
        assert_eq!(plain(harmless), harmless);
        assert_eq!(line("a\nerror: b\r\n"), "a\\u000aerror: b\\u000d\\u000a");
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
        for byte in "é\u{9b}©\u{202e}–".as_bytes() {
            plain.write_all(&[*byte]).unwrap();
        }
        assert_eq!(String::from_utf8(out).unwrap(), "é\\u009b©\\u202e–");
    }

    #[test]
    fn json_is_the_same_json() {
        let value = serde_json::json!({ "topic": "\u{9b}\u{1b}\u{7f}é" });
        let written = plain(&format!("{value:#}"));
        assert!(written.is_ascii() || !written.contains('\u{9b}'));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&written).unwrap(), value);
    }
}
