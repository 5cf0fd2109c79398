//! A detached signature: `threshold.wasm.minisig` beside `threshold.wasm`.
//!
//! minisign signs two things: the digest of the file, and a *trusted comment*, one line of the signer's choice. We read two
//! words of that line and leave the rest to people:
//!
//! ```text
//!   trusted comment: timestamp:1790000000 file:threshold.wasm version:1.2.3
//!                                          │                   └─ what must not go backwards (`ledger`)
//!                                          └─ the name that the file must have
//! ```
//!
//! `file:` is in every comment that minisign writes by itself. Without looking at it, any plugin that was ever signed could
//! be put in the place of any other.

use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use semver::Version;

use crate::config::KeyId;
use crate::config::TrustedKey;
use crate::plugin::file::ComponentFile;
use crate::plugin::refusal::Problem;
use crate::plugin::text::printable;

pub struct Signature {
    inner: minisign_verify::Signature,
    key: KeyId,
}

/// Four lines; the comment is the only one without a length.
const MAX_SIGNATURE_BYTES: u64 = 16 << 10;

/// Of a word in a comment, when it is shown.
const MAX_WORD: usize = 64;

// === impl Signature ===

impl Signature {
    pub fn path(component: &Path) -> PathBuf {
        let mut name = OsString::from(component);
        name.push(".minisig");
        name.into()
    }

    /// `None` when there is no such file.
    pub fn beside(component: &Path) -> Result<Option<Self>, Problem> {
        let file = match File::open(Self::path(component)) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Problem::SignatureDamaged(error.to_string())),
        };
        let mut text = String::new();
        file.take(MAX_SIGNATURE_BYTES).read_to_string(&mut text).map_err(damaged)?;
        Self::parse(&text).map(Some)
    }

    pub fn parse(text: &str) -> Result<Self, Problem> {
        let inner = minisign_verify::Signature::decode(text).map_err(damaged)?;
        let key = text.lines().nth(1).and_then(KeyId::of).ok_or_else(|| damaged("it names no key"))?;
        Ok(Self { inner, key })
    }

    /// Whose it is, when one of `keys` made it for exactly these bytes.
    pub fn verify<'a>(&self, file: &ComponentFile, keys: &'a [TrustedKey]) -> Result<&'a TrustedKey, Problem> {
        let Some(signer) = keys.iter().find(|trusted| trusted.key.id() == self.key) else {
            let trusted = keys.iter().map(|trusted| format!("{} ({})", trusted.name, trusted.key.id())).collect();
            return Err(Problem::UnknownKey { signer: self.key.to_string(), trusted });
        };
        match signer.key.verify(&file.bytes, &self.inner) {
            Ok(()) => Ok(signer),
            Err(minisign_verify::Error::UnexpectedAlgorithm) => Err(Problem::SignatureOutdated),
            Err(_) => Err(Problem::WrongSignature { key: signer.name.clone() }),
        }
    }

    /// Only of a signature that was verified: until then the comment is anybody's.
    pub fn version(&self) -> Result<Option<Version>, Problem> {
        let Some(word) = self.word("version")? else { return Ok(None) };
        Version::parse(word).map(Some).map_err(|_| Problem::SignatureComment {
            word: format!("version:{}", printable(word, MAX_WORD)),
            advice: "a version is three numbers, `version:1.2.3`",
        })
    }

    /// That it was made for a file of this name, if it says so.
    pub fn check_name(&self, component: &Path) -> Result<(), Problem> {
        let Some(signed_as) = self.word("file")? else { return Ok(()) };
        if component.file_name().is_some_and(|name| name == signed_as) {
            return Ok(());
        }
        Err(Problem::OtherFile { signed_as: printable(signed_as, MAX_WORD) })
    }

    /// The value of a word that stands once.
    fn word(&self, name: &'static str) -> Result<Option<&str>, Problem> {
        let value = |word: &'_ str| word.strip_prefix(name).is_some_and(|rest| rest.starts_with(':'));
        let mut words = self.inner.trusted_comment().split_whitespace().filter(|word| value(word));
        let found = words.next().and_then(|word| word.get(name.len() + 1..));
        match words.next() {
            None => Ok(found),
            Some(_) => {
                Err(Problem::SignatureComment { word: format!("{name}:"), advice: "it may stand there only once" })
            }
        }
    }
}

fn damaged(error: impl std::fmt::Display) -> Problem {
    Problem::SignatureDamaged(error.to_string())
}
