//! Which version of each plugin ran here, so that an older one does not come back.
//!
//! A signature is good for ever, also that of a version with a hole in it. Who can write the folder of the components, but
//! holds no key, could put the old file and its old signature back. So the gateway remembers, in its data folder, the version
//! that each plugin of the configuration was last started with, and refuses what is older, or says less: no version where
//! there was one, no signature where there was one.
//!
//! Going back on purpose takes a line in the configuration, `downgrade_to`, with the one version that is meant. After that
//! start the older version is the remembered one, and the line can go.
//!
//! The file is as safe as the data folder: whoever writes there holds the spool and the compiled code as well.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use semver::Version;
use serde::{Deserialize, Serialize};

use super::Provenance;
use crate::plugin::refusal::Problem;

#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    known: Known,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    /// By the name in the configuration. Only plugins that were signed.
    plugins: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    version: Option<Version>,
    /// The name of the key; for people.
    key: String,
}

#[derive(Debug, thiserror::Error)]
#[error(
    "cannot use `{}`, which remembers the versions of signed plugins: {reason}. Without it an older version could come back; to begin anew on purpose, delete it",
    path.display()
)]
pub struct LedgerError {
    path: PathBuf,
    reason: String,
}

const FILE: &str = "plugin-versions.json";

/// A thousand plugins have 100 KiB.
const MAX_BYTES: u64 = 1 << 20;

// === impl Ledger ===

impl Ledger {
    /// One that is not there knows nothing yet; one that cannot be read is no reason to forget.
    pub fn read(data_dir: &Path) -> Result<Self, LedgerError> {
        let path = data_dir.join(FILE);
        match read(&path) {
            Ok(known) => Ok(Self { path, known }),
            Err(error) => Err(LedgerError { path, reason: error.to_string() }),
        }
    }

    /// Refuses what is older than what ran here, unless it is exactly what `allowed` names.
    pub fn judge(&self, plugin: &str, now: &Provenance, allowed: Option<&str>) -> Result<(), Problem> {
        let Some(before) = self.known.plugins.get(plugin) else { return Ok(()) };
        let goes_back = match (&before.version, &now.signer, &now.version) {
            (_, None, _) => true,
            (Some(_), _, None) => true,
            // Of two builds of one version neither is older.
            (Some(before), _, Some(now)) => now.cmp_precedence(before).is_lt(),
            (None, _, _) => false,
        };
        let to = now.standing();
        if !goes_back || allowed == Some(to.as_str()) {
            return Ok(());
        }
        Err(Problem::Downgrade { from: before.standing(), to })
    }

    /// What runs from now on. Written only when that changes something.
    pub fn remember<'a>(
        &mut self,
        running: impl Iterator<Item = (&'a str, &'a Provenance)>,
    ) -> Result<(), LedgerError> {
        let mut known = self.known.clone();
        for (plugin, provenance) in running {
            match &provenance.signer {
                Some(key) => {
                    let entry = Entry { version: provenance.version.clone(), key: key.clone() };
                    drop(known.plugins.insert(plugin.to_owned(), entry));
                }
                None => drop(known.plugins.remove(plugin)),
            }
        }
        if known != self.known {
            let failed = |error: io::Error| LedgerError { path: self.path.clone(), reason: error.to_string() };
            write(&self.path, &known).map_err(failed)?;
            self.known = known;
        }
        Ok(())
    }
}

// === impl Entry ===

impl Entry {
    fn standing(&self) -> String {
        self.version.as_ref().map_or_else(|| "unversioned".to_owned(), Version::to_string)
    }
}

fn read(path: &Path) -> io::Result<Known> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Known::default()),
        other => other?,
    };
    let mut text = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

/// Whole or not at all, also through a power cut: a new file, synced, in the place of the old one.
fn write(path: &Path, known: &Known) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let new = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(&serde_json::to_vec_pretty(known)?)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(folder)?.sync_all()
}
