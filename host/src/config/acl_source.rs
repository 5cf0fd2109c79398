//! Reading an ACL file, at the start and after each change.

use std::fs::File;
use std::io::{self, Read as _};

use super::checked::AclSource;
use crate::access::{AclFile, LineError};

/// A hundred thousand users with ten lines each. Beyond this it is another file, or one that never ends.
const MAX_BYTES: u64 = 64 << 20;

/// Why it is not used.
#[derive(Debug, thiserror::Error)]
pub enum AclError {
    #[error("`{name}` cannot be read: {error}")]
    Unreadable { name: String, error: io::Error },
    #[error("`{name}` has more than 64 MiB")]
    TooLarge { name: String },
    #[error("{name}:{line}: this line is not UTF-8")]
    NotText { name: String, line: usize },
    #[error("{}", lines(.0))]
    Lines(Vec<LineError>),
}

impl AclSource {
    pub fn read(&self) -> Result<AclFile, AclError> {
        let name = || self.name.to_string();
        let mut bytes = Vec::new();
        let unreadable = |error| AclError::Unreadable { name: name(), error };
        let read = File::open(&self.path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
        if read.map_err(unreadable)? as u64 > MAX_BYTES {
            return Err(AclError::TooLarge { name: name() });
        }
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            AclError::NotText { name: name(), line: before.iter().filter(|byte| **byte == b'\n').count() + 1 }
        })?;
        AclFile::parse(text, &self.name).map_err(AclError::Lines)
    }
}

impl AclError {
    /// One for each thing that is wrong.
    pub fn sentences(&self) -> Vec<String> {
        match self {
            Self::Lines(errors) => errors.iter().map(sentence).collect(),
            other => vec![other.to_string()],
        }
    }
}

fn lines(errors: &[LineError]) -> String {
    errors.iter().map(sentence).collect::<Vec<_>>().join("; ")
}

fn sentence(error: &LineError) -> String {
    format!("{}: {}", error.place, error.sentence)
}
