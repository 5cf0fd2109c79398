//! Compiled code, kept from start to start in a folder that only this user can write.
//!
//! ```text
//!   compiled/           0700, ours
//!     key               0600, 32 random bytes
//!     9f2c….native      0600: "TGNATIV1" · seal (32) · code
//! ```
//!
//! The code is run by this process, so each entry is read whole, its seal is checked, and what was checked is what is loaded.
//! An entry that is torn, changed, foreign or of an older version is thrown away and made anew; nothing about it is an error.
//!
//! Not wasmtime's own cache: it has no seal and trusts the folder. Its worker thread, its clean-up by statistics and its
//! compression are for thousands of entries; a gateway has tens.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::seal::{SEAL_BYTES, Seal};
use crate::base::private_file::{self, discard};

pub struct Cache {
    folder: PathBuf,
    seal: Seal,
}

const MAGIC: &[u8; 8] = b"TGNATIV1";
const ENDING: &str = "native";

/// What is read at most: code is some four times as large as the largest component.
const MAX_ENTRY_BYTES: u64 = 512 << 20;

/// Plugins of several versions and settings; the oldest go.
const MAX_ENTRIES: usize = 64;

// === impl Cache ===

impl Cache {
    pub fn open(folder: &Path) -> Result<Self, String> {
        let words = |error: io::Error| error.to_string();
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(words)?;
        check_private(folder)?;
        let seal = Seal::of(folder).map_err(words)?;
        Ok(Self { folder: folder.to_owned(), seal })
    }

    /// The code of that name, when its seal is whole.
    pub fn find(&self, name: &str) -> Option<Vec<u8>> {
        let mut entry = Vec::new();
        let file = File::open(self.path(name)).ok()?;
        file.take(MAX_ENTRY_BYTES).read_to_end(&mut entry).ok()?;
        let code = self.open_entry(name, entry);
        if code.is_none() {
            tracing::warn!(entry = name, "compiled code in the cache is not as it was put there: compiling anew");
            self.discard(name);
        }
        code
    }

    pub fn keep(&self, name: &str, code: &[u8]) -> io::Result<()> {
        let path = self.path(name);
        // A name of its own for each process, and one rename: readers see all of it or nothing.
        let new = path.with_extension(format!("{}.new", std::process::id()));
        discard(&new)?;
        let mut file = private_file::create(&new)?;
        file.write_all(MAGIC)?;
        file.write_all(&self.seal.make(name, code)?)?;
        file.write_all(code)?;
        // Not synced: what a power cut tears has no good seal.
        fs::rename(&new, &path)?;
        self.prune()
    }

    pub fn discard(&self, name: &str) {
        // When it cannot be removed it is found unfit again at the next start.
        let _ = discard(&self.path(name));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name).with_extension(ENDING)
    }

    fn open_entry(&self, name: &str, mut entry: Vec<u8>) -> Option<Vec<u8>> {
        let (seal, code) = entry.strip_prefix(MAGIC)?.split_at_checked(SEAL_BYTES)?;
        if !self.seal.is_good(seal, name, code) {
            return None;
        }
        entry.drain(..MAGIC.len() + SEAL_BYTES);
        Some(entry)
    }

    /// Entries of old versions have names that nobody asks for again.
    fn prune(&self) -> io::Result<()> {
        let mut entries: Vec<(SystemTime, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let time = path.metadata().and_then(|found| found.modified());
            if let Some(time) = time.ok().filter(|_| path.extension().is_some_and(|ending| ending == ENDING)) {
                entries.push((time, path));
            }
        }
        entries.sort_unstable();
        let surplus = entries.len().saturating_sub(MAX_ENTRIES);
        entries.iter().take(surplus).try_for_each(|(_, path)| discard(path))
    }
}

/// A folder in which others could write may hold a key that they know, so that closing it now would be too late.
fn check_private(folder: &Path) -> Result<(), String> {
    let found = folder.metadata().map_err(|error| error.to_string())?;
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err("it belongs to another user".to_owned());
    }
    if found.mode() & 0o022 != 0 {
        let mode = found.mode() & 0o777;
        return Err(format!("others can write in it (mode {mode:o}), so that nothing in it can be trusted: delete it"));
    }
    fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(|error| error.to_string())
}
