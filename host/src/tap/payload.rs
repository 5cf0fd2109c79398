//! A payload as it is shown: its beginning, as text where it is one.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

/// Bytes of it. Readings are smaller; of what is larger the beginning says which one it is.
const SHOWN: usize = 2 << 10;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// How long it is.
    pub bytes: usize,
    /// Of the beginning, when that is UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Of the beginning, when it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hex: Option<String>,
    /// A plugin that must not be left out has not had it yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
}

// === impl Payload ===

impl Payload {
    pub fn of(payload: &[u8]) -> Self {
        let (bytes, first) = (payload.len(), payload.get(..SHOWN).unwrap_or(payload));
        match std::str::from_utf8(first) {
            Ok(text) => Self { bytes, text: Some(text.to_owned()), ..Self::default() },
            // Cut in the middle of a character.
            Err(error) if error.error_len().is_none() && bytes > first.len() => {
                let whole = first.get(..error.valid_up_to()).unwrap_or_default();
                Self { bytes, text: Some(String::from_utf8_lossy(whole).into_owned()), ..Self::default() }
            }
            Err(_) => Self { bytes, hex: Some(hex(first)), ..Self::default() },
        }
    }

    pub fn hidden(payload: &[u8]) -> Self {
        Self { bytes: payload.len(), hidden: true, ..Self::default() }
    }

    /// Whether there is more than is shown.
    pub fn is_cut(&self) -> bool {
        let shown = self.text.as_ref().map_or(0, String::len) + self.hex.as_ref().map_or(0, |hex| hex.len() / 2);
        !self.hidden && shown < self.bytes
    }

    pub(super) fn weight(&self) -> usize {
        self.text.as_ref().map_or(0, String::len) + self.hex.as_ref().map_or(0, String::len)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // A `String` takes whatever is written.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_shown_as_text_and_bytes_in_hexadecimal() {
        assert_eq!(Payload::of(b"21.5").text.as_deref(), Some("21.5"));
        let binary = Payload::of(&[0xff, 0x00]);
        assert_eq!((binary.text, binary.hex.as_deref()), (None, Some("ff00")));
    }

    #[test]
    fn what_is_long_is_cut_and_says_so_also_within_a_character() {
        let long = "é".repeat(SHOWN);
        for payload in [long.clone(), format!("x{long}")] {
            let shown = Payload::of(payload.as_bytes());
            assert!(shown.is_cut() && shown.bytes == payload.len());
            assert!(payload.starts_with(shown.text.as_deref().expect("it is text")));
        }
        assert!(!Payload::of(b"short").is_cut());
        assert!(Payload::of(&[0xff; 2 * SHOWN]).is_cut());
    }

    #[test]
    fn of_what_is_hidden_only_the_length_is_told() {
        let hidden = Payload::hidden(b"secret");
        assert_eq!(serde_json::to_string(&hidden).unwrap(), r#"{"bytes":6,"hidden":true}"#);
    }
}
