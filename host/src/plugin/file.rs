//! The bytes of a component: read once, so that what was verified is what is compiled.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use sha2::{Digest, Sha256};
use wasmtime::Engine;

use super::refusal::Problem;

pub struct ComponentFile {
    pub bytes: Vec<u8>,
    /// Lower-case hex.
    pub sha256: String,
}

/// The first eight bytes: magic number, version, and the layer that tells a component from a core module.
const MAGIC: &[u8] = b"\0asm";
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

// === impl ComponentFile ===

impl ComponentFile {
    pub fn read(path: &Path, limit: usize) -> Result<Self, Problem> {
        read_capped(path, limit).map(Self::from_bytes)
    }

    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Self { bytes, sha256 }
    }

    pub fn verify(&self, pinned: Option<&str>) -> Result<(), Problem> {
        match pinned {
            Some(pinned) if !pinned.eq_ignore_ascii_case(&self.sha256) => {
                Err(Problem::WrongDigest { pinned: pinned.to_owned(), found: self.sha256.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Say what the file is instead, if it is no component. Only its head is looked at: the rest is the compiler's work.
    pub fn check_kind(&self) -> Result<(), Problem> {
        match &*self.bytes {
            bytes if bytes.starts_with(COMPONENT) => Ok(()),
            // Deserialising native code is running it: whoever could write the file would own the process.
            bytes if Engine::detect_precompiled(bytes).is_some() => Err(Problem::Precompiled),
            bytes if bytes.starts_with(MAGIC) => Err(Problem::CoreModule),
            bytes if bytes.trim_ascii_start().starts_with(b"(") => Err(Problem::Text),
            _ => Err(Problem::NotWasm),
        }
    }
}

fn read_capped(path: &Path, limit: usize) -> Result<Vec<u8>, Problem> {
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take((limit as u64).saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > limit { Err(Problem::TooLarge { limit }) } else { Ok(bytes) }
}

fn unreadable(error: std::io::Error) -> Problem {
    match error.kind() {
        ErrorKind::NotFound => Problem::Missing,
        _ => Problem::Unreadable(error.to_string()),
    }
}
