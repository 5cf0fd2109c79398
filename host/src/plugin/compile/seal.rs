//! The seal on compiled code: an HMAC whose key lies in the folder with the code, readable by this user only.
//!
//! What it is good for: a torn write, a flipped bit, an entry that was copied from another gateway or restored from a backup,
//! and whoever can put files into the folder but not read the key are all found out before a byte is run. What it is not good
//! for: this user, and root, can read the key, and could as well change the program.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::base::private_file::{self, discard};

pub struct Seal([u8; KEY_BYTES]);

const KEY_BYTES: usize = 32;
pub const SEAL_BYTES: usize = 32;

const FILE: &str = "key";

// === impl Seal ===

impl Seal {
    /// The key of a folder that is known to be private. An unfit one is replaced, and with it all that it had sealed.
    pub fn of(folder: &Path) -> io::Result<Self> {
        let path = folder.join(FILE);
        if let Some(seal) = read(&path)? {
            return Ok(seal);
        }
        discard(&path)?;
        // Of several processes that start at once, one makes the key and all use it: a link is made once or not at all.
        let new = folder.join(format!("{FILE}.{}", std::process::id()));
        discard(&new)?;
        create(&new)?;
        let linked = fs::hard_link(&new, &path);
        discard(&new)?;
        match linked {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        read(&path)?.ok_or_else(|| io::Error::other("the key that was just made cannot be used"))
    }

    pub fn make(&self, name: &str, code: &[u8]) -> io::Result<[u8; SEAL_BYTES]> {
        Ok(self.mac(name, code)?.finalize().into_bytes().into())
    }

    pub fn is_good(&self, seal: &[u8], name: &str, code: &[u8]) -> bool {
        self.mac(name, code).is_ok_and(|mac| mac.verify_slice(seal).is_ok())
    }

    /// With the name, so that one component's code cannot be put in the place of another's. It has always the same length.
    fn mac(&self, name: &str, code: &[u8]) -> io::Result<Hmac<Sha256>> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.0).map_err(io::Error::other)?;
        Ok(mac.chain_update(name).chain_update(code))
    }
}

/// `None` when it is not there, or is not a file of our own that others cannot read.
fn read(path: &Path) -> io::Result<Option<Seal>> {
    let found = match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let ours = found.is_file() && found.mode() & 0o077 == 0 && found.uid() == rustix::process::geteuid().as_raw();
    if !ours || found.len() != KEY_BYTES as u64 {
        return Ok(None);
    }
    let mut key = [0; KEY_BYTES];
    File::open(path)?.read_exact(&mut key)?;
    Ok(Some(Seal(key)))
}

fn create(path: &Path) -> io::Result<()> {
    let mut key = [0; KEY_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    // A key that is lost in a power cut costs one compilation; one that is half there is replaced.
    private_file::write(path, &key)
}
