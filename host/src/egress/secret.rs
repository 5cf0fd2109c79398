//! A text that must not be seen.

use std::path::Path;

/// Has neither `Debug` nor `Display`: it cannot get into a log by accident.
#[derive(Clone)]
pub struct Secret(String);

// === impl Secret ===

impl Secret {
    /// From a file; the line end that editors add is not part of it.
    pub fn read(path: &Path) -> std::io::Result<Self> {
        let text = std::fs::read_to_string(path)?;
        Ok(Self(text.trim_end_matches(['\r', '\n']).into()))
    }

    /// The text itself, for the one place that writes it to the wire.
    pub fn expose(&self) -> &str {
        &self.0
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
}
