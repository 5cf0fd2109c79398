//! PEM as people have it (RFC 7468, and what came before it): with a byte order mark, text around the sections, lines that end in CRLF or are
//! indented, in UTF-16 as PowerShell writes it, and with the headers of RFC 1421.
//!
//! A section that cannot be read is one by itself: those after it are found. The parser of rustls takes each of these for the end of the file,
//! or for bytes of the section, and does not say which section it was.

use base64ct::{Base64, Encoding as _};

/// One `-----BEGIN …-----` and what belongs to it.
#[derive(Debug, PartialEq, Eq)]
pub struct Section {
    pub label: String,
    /// Of its first line, from 1.
    pub line: usize,
    pub content: Result<Vec<u8>, Fault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("it has no `-----END` line of its own")]
    NoEnd,
    #[error("it is not Base64: is a line cut off, or something else pasted into it?")]
    Base64,
    #[error("it has nothing between its first line and its last")]
    Empty,
    #[error("it is encrypted in the old way of OpenSSL (`Proc-Type: 4,ENCRYPTED`)")]
    OldEncryption,
}

/// A section that has begun.
struct Open {
    label: String,
    line: usize,
    body: String,
    is_encrypted: bool,
}

const ENCRYPTED: &str = "4,ENCRYPTED";

/// All of them, in their order.
pub fn sections(bytes: &[u8]) -> Vec<Section> {
    let text = text_of(bytes);
    let (mut sections, mut open): (Vec<Section>, Option<Open>) = (Vec::new(), None);
    for (number, line) in text.lines().map(str::trim).enumerate() {
        if let Some(label) = between(line, "-----BEGIN ") {
            sections.extend(open.take().map(Open::cut_off));
            open = Some(Open { label: label.into(), line: number + 1, body: String::new(), is_encrypted: false });
        } else if let Some(label) = between(line, "-----END ") {
            sections.extend(open.take().map(|open| open.close(label)));
        } else if let Some(open) = &mut open {
            open.take(line);
        }
    }
    sections.extend(open.map(Open::cut_off));
    sections
}

/// Whether a file is what PEM is made of, without its text: a DER structure begins with a SEQUENCE of a length in two bytes.
pub fn is_der(bytes: &[u8]) -> bool {
    matches!(bytes, [0x30, 0x81..=0x83, ..])
}

/// Bytes that are no text (names in Bag Attributes are in any character set) stand outside of sections, where they do not matter. Lines may
/// end with CR alone.
fn text_of(bytes: &[u8]) -> String {
    let utf16 = |unit: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2).skip(1).filter_map(|pair| Some(unit(pair.try_into().ok()?)));
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect::<String>()
    };
    let text = match bytes {
        [0xFF, 0xFE, ..] => utf16(u16::from_le_bytes),
        [0xFE, 0xFF, ..] => utf16(u16::from_be_bytes),
        _ => String::from_utf8_lossy(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)).into_owned(),
    };
    text.replace("\r\n", "\n").replace('\r', "\n")
}

fn between<'a>(line: &'a str, begin: &str) -> Option<&'a str> {
    line.strip_prefix(begin)?.strip_suffix("-----")
}

// === impl Open ===

impl Open {
    /// A header has a colon, which Base64 has not.
    fn take(&mut self, line: &str) {
        match line.split_once(':') {
            Some((_, value)) => self.is_encrypted |= value.trim() == ENCRYPTED,
            // Lines that go on with a header of several lines do not occur: the two that OpenSSL writes are short.
            None => self.body.extend(line.chars().filter(|c| !c.is_whitespace())),
        }
    }

    fn close(self, label: &str) -> Section {
        let content = match () {
            () if label != self.label => Err(Fault::NoEnd),
            () if self.is_encrypted => Err(Fault::OldEncryption),
            () if self.body.is_empty() => Err(Fault::Empty),
            () => Base64::decode_vec(&self.body).map_err(|_| Fault::Base64),
        };
        Section { label: self.label, line: self.line, content }
    }

    fn cut_off(self) -> Section {
        Section { label: self.label, line: self.line, content: Err(Fault::NoEnd) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "-----BEGIN A KEY-----\nAQID\nBAUG\n-----END A KEY-----\n";

    fn good(line: usize) -> Section {
        Section { label: "A KEY".into(), line, content: Ok(vec![1, 2, 3, 4, 5, 6]) }
    }

    #[test]
    fn what_editors_and_tools_put_around_a_section_does_not_matter() {
        let utf16 = |begin: [u8; 2], unit: fn(u16) -> [u8; 2]| {
            [begin.to_vec(), GOOD.encode_utf16().flat_map(unit).collect()].concat()
        };
        for (bytes, line) in [
            (GOOD.into(), 1),
            (format!("\u{feff}{GOOD}").into_bytes(), 1),
            (GOOD.replace('\n', "\r\n").into_bytes(), 1),
            (GOOD.replace('\n', "\r").into_bytes(), 1),
            (GOOD.replace('\n', "  \n\t").into_bytes(), 1),
            (GOOD.trim_end().into(), 1),
            (
                [b"Bag Attributes\n    friendlyName: M\xFCnchen\nKey Attributes: <No Attributes>\n", GOOD.as_bytes()]
                    .concat(),
                4,
            ),
            (GOOD.replace("AQID", "X-Tool: 7\n\nAQID").into_bytes(), 1),
            (utf16([0xFF, 0xFE], u16::to_le_bytes), 1),
            (utf16([0xFE, 0xFF], u16::to_be_bytes), 1),
        ] {
            assert_eq!(sections(&bytes), [good(line)], "{}", String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn a_section_that_cannot_be_read_is_told_and_those_after_it_are_read() {
        for (bad, fault) in [
            ("-----BEGIN X-----\nAQI!\n-----END X-----\n", Fault::Base64),
            ("-----BEGIN X-----\nAQIDB\n-----END X-----\n", Fault::Base64),
            ("-----BEGIN X-----\nAQID\n", Fault::NoEnd),
            ("-----BEGIN X-----\nAQID\n-----END Y-----\n", Fault::NoEnd),
            ("-----BEGIN X-----\n-----END X-----\n", Fault::Empty),
            (
                "-----BEGIN X-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAQID\n-----END X-----\n",
                Fault::OldEncryption,
            ),
        ] {
            let found = sections(format!("{bad}{GOOD}").as_bytes());
            let first = Section { label: "X".into(), line: 1, content: Err(fault) };
            assert_eq!(found, [first, good(bad.lines().count() + 1)], "{bad}");
        }
        let cut = sections(GOOD.replace("-----END A KEY-----\n", "").as_bytes());
        assert_eq!(cut.first().map(|section| &section.content), Some(&Err(Fault::NoEnd)));
        assert!(sections(b"nothing of it\n-----END X-----").is_empty());
    }
}
