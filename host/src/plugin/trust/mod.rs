//! Whose plugins may run here: signatures, and no way back to an older version.
//!
//! ```text
//!   bytes, read once ─▶ pinned? ─▶ signed? ─▶ by whom? ─▶ for this file? ─▶ not older? ─▶ compiled
//!                       sha256     .minisig   [trust.keys]  file:           version:, ledger
//! ```
//!
//! - Without `[trust.keys]` nothing is looked at: pins are what a single gateway needs.
//! - With keys, a signature that is there must be good. One that is not there is refused with `require_signature`.
//! - Nothing is remembered before the gateway has started: [`Trust::remember`] comes last.
//!
//! minisign and not X.509 or an attestation service: a gateway has no network when it starts, no clock that it can trust, and an
//! operator with one or two keys.

mod ledger;
mod signature;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;

use semver::Version;

use crate::config;

use super::file::ComponentFile;
use super::refusal::Problem;
use ledger::Ledger;
use signature::Signature;

pub use ledger::LedgerError;

/// The keys of the configuration, and the versions of the past.
#[derive(Debug)]
pub struct Trust {
    config: config::Trust,
    ledger: Ledger,
}

/// What is known about where a component comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// The name of the key.
    pub signer: Option<String>,
    /// As the signer wrote it.
    pub version: Option<Version>,
}

// === impl Trust ===

impl Trust {
    pub fn open(config: &config::Trust, data_dir: &Path) -> Result<Self, LedgerError> {
        Ok(Self { config: config.clone(), ledger: Ledger::read(data_dir)? })
    }

    pub fn examine(&self, plugin: &config::Plugin, file: &ComponentFile) -> Result<Provenance, Problem> {
        file.verify(plugin.sha256.as_deref())?;
        let provenance = self.provenance(&plugin.component, file)?;
        self.ledger.judge(&plugin.name, &provenance, plugin.downgrade_to.as_deref())?;
        Ok(provenance)
    }

    /// From now on these are what must not become older.
    pub fn remember<'a>(
        &mut self,
        running: impl Iterator<Item = (&'a str, &'a Provenance)>,
    ) -> Result<(), LedgerError> {
        self.ledger.remember(running)
    }

    fn provenance(&self, component: &Path, file: &ComponentFile) -> Result<Provenance, Problem> {
        if self.config.keys.is_empty() {
            return Ok(Provenance::default());
        }
        let Some(signature) = Signature::beside(component)? else { return self.unsigned(component) };
        let signer = signature.verify(file, &self.config.keys)?;
        signature.check_name(component)?;
        Ok(Provenance { signer: Some(signer.name.clone()), version: signature.version()? })
    }

    fn unsigned(&self, component: &Path) -> Result<Provenance, Problem> {
        match self.config.require_signature {
            true => Err(Problem::Unsigned { signature: Signature::path(component) }),
            false => Ok(Provenance::default()),
        }
    }
}

// === impl Provenance ===

impl Provenance {
    /// How a downgrade to it is named in the configuration.
    fn standing(&self) -> String {
        match (&self.signer, &self.version) {
            (None, _) => "unsigned".to_owned(),
            (Some(_), None) => "unversioned".to_owned(),
            (Some(_), Some(version)) => version.to_string(),
        }
    }
}

/// `version 1.2.3, signed by ops`
impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.version, &self.signer) {
            (_, None) => write!(f, "not signed"),
            (None, Some(signer)) => write!(f, "signed by {signer}, without a version"),
            (Some(version), Some(signer)) => write!(f, "version {version}, signed by {signer}"),
        }
    }
}
