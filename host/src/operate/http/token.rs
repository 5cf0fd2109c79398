//! The token that whoever asks has to know, where the network can ask.

use std::path::Path;
use std::{fs, io};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Half of what `openssl rand -hex 32` makes: shorter ones can be guessed.
const SHORTEST: usize = 16;
/// The file is read whole.
const LARGEST_FILE: u64 = 4 << 10;

/// As a digest: whoever sees our memory has no token, and comparing takes as long for a wrong one as for a right one.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; 32]);

#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("is larger than {LARGEST_FILE} bytes: the token is its first line")]
    TooLarge,
    #[error(
        "has no token in its first line: at least {SHORTEST} printable ASCII characters without spaces, as `openssl rand -hex 32` makes them"
    )]
    NoToken,
}

// === impl Token ===

impl Token {
    /// The first line of a file.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        if fs::metadata(path)?.len() > LARGEST_FILE {
            return Err(TokenError::TooLarge);
        }
        let text = fs::read(path)?;
        let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii();
        let is_token = line.len() >= SHORTEST && line.iter().all(u8::is_ascii_graphic);
        if is_token { Ok(Self::of(line)) } else { Err(TokenError::NoToken) }
    }

    /// Whether this is what `Authorization` says: `Bearer TOKEN` (RFC 6750).
    pub fn is_in(&self, authorization: &[u8]) -> bool {
        let (scheme, rest) = authorization.split_at(authorization.len().min(BEARER.len()));
        scheme.eq_ignore_ascii_case(BEARER) && bool::from(Self::of(rest.trim_ascii()).0.ct_eq(&self.0))
    }

    fn of(line: &[u8]) -> Self {
        Self(Sha256::digest(line).into())
    }
}

const BEARER: &[u8] = b"Bearer ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_token_and_nothing_else_is() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let read = |text: &str| {
            fs::write(file.path(), text).unwrap();
            Token::read(file.path())
        };
        let token = read("0123456789abcdef\r\nnot this\n").unwrap();
        for (said, admits) in [
            ("Bearer 0123456789abcdef", true),
            ("bearer  0123456789abcdef", true),
            ("Bearer 0123456789abcdeF", false),
            ("Bearer ", false),
            ("Basic 0123456789abcdef", false),
            ("0123456789abcdef", false),
            ("", false),
        ] {
            assert_eq!(token.is_in(said.as_bytes()), admits, "{said}");
        }
        for bad in ["", "short\n", "\n0123456789abcdef", "0123456789 abcdef", "0123456789abcd\u{e9}f"] {
            assert!(matches!(read(bad), Err(TokenError::NoToken)), "{bad}");
        }
        assert!(matches!(read(&"a".repeat(5_000)), Err(TokenError::TooLarge)));
    }
}
