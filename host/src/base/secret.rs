//! A password or passphrase that must not be seen.

use std::io;
use std::path::Path;

use bytes::Bytes;

/// Any bytes: MQTT asks for no text. Has neither `Debug` nor `Display`: it cannot get into a log by accident.
#[derive(Clone)]
pub struct Secret(Bytes);

/// Two bytes say its length (MQTT 5, section 3.1.3.6).
const MAX_BYTES: usize = u16::MAX as usize;

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

// === impl Secret ===

impl Secret {
    /// The first line of a file: what stands below it may be a comment, or the end that editors add.
    pub fn read(path: &Path) -> io::Result<Self> {
        let bytes = std::fs::read(path)?;
        let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match line.len() {
            0 => Err(invalid("its first line is empty, and is the secret".to_owned())),
            length if length > MAX_BYTES => {
                Err(invalid(format!("its first line has {length} bytes, and MQTT carries {MAX_BYTES} at most")))
            }
            _ => Ok(Self(Bytes::copy_from_slice(line))),
        }
    }

    /// One that is none.
    pub fn of(text: &'static str) -> Self {
        Self(Bytes::from_static(text.as_bytes()))
    }

    /// For a key that it opens.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The secret itself, for the one packet that has it.
    pub fn expose(&self) -> Bytes {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_end_of_the_file_is_not_part_of_the_password_but_spaces_are() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), " pass word \r\n").unwrap();
        assert_eq!(Secret::read(file.path()).unwrap().expose(), " pass word ");
    }

    #[test]
    fn only_the_first_line_is_the_password() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "secret\nfor the broker of plant 7\n").unwrap();
        assert_eq!(Secret::read(file.path()).unwrap().expose(), "secret");
    }

    #[test]
    fn a_first_line_that_is_empty_or_longer_than_mqtt_carries_is_no_password() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, reason) in [("\nsecret\n".to_owned(), "empty"), ("x".repeat(65_536), "65535 at most")] {
            std::fs::write(file.path(), text).unwrap();
            let error = Secret::read(file.path()).err().unwrap();
            assert!(error.to_string().contains(reason), "{error}");
        }
    }

    #[test]
    fn a_password_may_be_any_bytes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"\xFF\0\x80\n").unwrap();
        assert_eq!(Secret::read(file.path()).unwrap().expose(), &b"\xFF\0\x80"[..]);
    }
}
