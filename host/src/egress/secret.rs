//! A password that must not be seen.

use std::path::Path;

use bytes::Bytes;

use crate::mqtt::Password;

/// Any bytes: MQTT asks for no text. Has neither `Debug` nor `Display`: it cannot get into a log by accident.
#[derive(Clone)]
pub struct Secret(Bytes);

// === impl Secret ===

impl Secret {
    /// From a file; the line end that editors add is not part of it.
    pub fn read(path: &Path) -> std::io::Result<Self> {
        let mut bytes = std::fs::read(path)?;
        while bytes.last().is_some_and(|last| matches!(last, b'\r' | b'\n')) {
            bytes.pop();
        }
        Ok(Self(bytes.into()))
    }

    /// One that is none.
    pub fn of(text: &'static str) -> Self {
        Self(Bytes::from_static(text.as_bytes()))
    }

    /// The password itself, for the one packet that has it.
    pub fn expose(&self) -> Password {
        Password(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_end_of_the_file_is_not_part_of_the_password_but_spaces_are() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), " pass word \r\n").unwrap();
        assert_eq!(Secret::read(file.path()).unwrap().expose().0, " pass word ");
    }

    #[test]
    fn a_password_may_be_any_bytes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"\xFF\0\x80\n").unwrap();
        assert_eq!(Secret::read(file.path()).unwrap().expose().0, &b"\xFF\0\x80"[..]);
    }
}
