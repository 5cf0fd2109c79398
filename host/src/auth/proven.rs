//! Which password was right the last time, so that a thousand devices that come back at once are not a thousand hashes.
//!
//! Kept in memory only, for each user of the file, as a digest under a key that no file has. What it makes quick is a *right* password: a
//! wrong one, and one for a user who is not there, are hashed as if nothing were kept.

use std::fs::File;
use std::io::{self, Read as _};

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::hash::SALT_BYTES;
use super::users::User;

/// Of this process.
pub struct Key(Hmac<Sha256>);

// === impl Key ===

impl Key {
    pub fn new() -> io::Result<Self> {
        let mut key = [0; 32];
        fill_random(&mut key)?;
        Ok(Self(<Hmac<Sha256> as KeyInit>::new_from_slice(&key).map_err(io::Error::other)?))
    }

    /// The name is in it, so that two users with one password do not look alike in memory.
    pub fn digest(&self, name: &str, password: &[u8]) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(&(name.len() as u64).to_le_bytes());
        mac.update(name.as_bytes());
        mac.update(password);
        mac.finalize().into_bytes().into()
    }
}

/// Whether this is the digest of the password that was right before.
pub fn is_proven(user: &User, digest: &[u8; 32]) -> bool {
    user.proven.get().is_some_and(|proven| proven.ct_eq(digest).into())
}

pub fn random_salt() -> io::Result<[u8; SALT_BYTES]> {
    let mut salt = [0; SALT_BYTES];
    fill_random(&mut salt)?;
    Ok(salt)
}

fn fill_random(bytes: &mut [u8]) -> io::Result<()> {
    File::open("/dev/urandom")?.read_exact(bytes)
}
