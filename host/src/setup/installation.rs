//! Who this installation is: a random id that is made at the first start and kept in the data folder.
//!
//! Two gateways that were set up from one image have one configuration. With one client id at one broker they would end each other's
//! connections for ever, and worse, share a session: of two messages under one packet id the server takes one for a repeat
//! of the other.
//!
//! - **A new installation** has a part of its id in each client id that the configuration does not give.
//! - **One that was there before this file** keeps the client ids that it had: its sessions hang on them, and so may the
//!   access rules of its brokers.
//! - **A copy** is a folder that was copied, restored from a backup, or found by another machine (`place`). The session
//!   that its spool remembers is somebody else's, or is further than the spool knows. So it is not used: what was open is sent
//!   again, and QoS 2 among it is counted as possible duplicates. A copy has a new id, too.
//! - A card that is put into another board cannot be told from a card that was cloned. It is taken for a clone: that costs
//!   some duplicates, and the other way round messages would be lost.

mod file;
mod place;

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use self::file::Known;
use self::place::Place;
use crate::config::Upstream;
use crate::egress::Prepared;

/// In the data folder.
const FILE: &str = "installation.json";

/// What was unreadable is kept under this name.
const DAMAGED: &str = "installation.damaged";

/// So many hex digits of the id are enough for the gateways of one broker, and leave room in what servers allow as client id.
const DIGITS: usize = 8;

/// This installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    id: String,
    in_client_ids: bool,
    is_copy: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot keep the identity of this installation in `{path}`: {source}; can `data_dir` be written?")]
pub struct InstallationError {
    path: PathBuf,
    source: io::Error,
}

// === impl Installation ===

impl Installation {
    /// Reads it, or makes it. `spool` is the folder of the spool: when there is one, this gateway has been running before.
    pub fn open(data_dir: &Path, spool: &Path) -> Result<Self, InstallationError> {
        let path = data_dir.join(FILE);
        let opened = std::fs::create_dir_all(data_dir).and_then(|()| open(&path, spool));
        opened.map_err(|source| InstallationError { path, source })
    }

    /// Completes the client ids that the configuration leaves to us.
    pub fn complete(&self, upstreams: &mut [Upstream]) {
        let Some(digits) = self.id.get(..DIGITS).filter(|_| self.in_client_ids) else { return };
        for upstream in upstreams.iter_mut().filter(|upstream| upstream.is_client_id_ours) {
            upstream.client_id = format!("{}-{digits}", upstream.client_id);
        }
    }

    /// A copy that runs for the first time must not go on with the sessions that its spool remembers.
    pub fn without_foreign_sessions(&self, upstreams: Vec<Prepared>) -> Vec<Prepared> {
        match self.is_copy {
            true => upstreams.into_iter().map(Prepared::without_session).collect(),
            false => upstreams,
        }
    }
}

fn open(path: &Path, spool: &Path) -> io::Result<Installation> {
    let found = match file::read(path) {
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            tracing::error!(
                "the identity of this installation was damaged ({error}) and is made anew: sessions at upstreams begin again"
            );
            std::fs::rename(path, path.with_file_name(DAMAGED))?;
            None
        }
        found => found?,
    };
    let here = Place::of_machine();
    let Some((known, inode)) = found else {
        let known = Known::new(random()?, !has_files(spool));
        return Ok(file::write(path, known, here)?.installation(false));
    };
    let Some(why) = known.place.why_other(&here, inode) else { return Ok(known.installation(false)) };
    tracing::warn!(
        "this data folder is a copy: {why}. Sessions at upstreams begin again, so QoS 2 that was open may arrive twice. Where the \
         original still runs, give one of them another `id` under [gateway]"
    );
    let known = Known::new(random()?, known.in_client_ids);
    Ok(file::write(path, known, here)?.installation(true))
}

fn has_files(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}

fn random() -> io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests;
