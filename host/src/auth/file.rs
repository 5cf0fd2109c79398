//! A password file, read.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::users::{FileError, Users};

/// A hundred thousand users.
pub const MAX_BYTES: u64 = 16 * 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("the password file `{}` cannot be read ({error}): {}", .path.display(), advice(.path, .error))]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("the password file `{}` is larger than 16 MiB", .0.display())]
    TooLarge(PathBuf),
    #[error("the password file `{}` is not used: {error}", .path.display())]
    Wrong { path: PathBuf, error: FileError },
}

pub fn read(path: &Path) -> Result<Users, ReadError> {
    let bytes = read_bytes(path)?;
    Users::parse(&bytes).map_err(|error| ReadError::Wrong { path: path.to_owned(), error })
}

/// As it is, whatever stands in it.
pub(super) fn read_bytes(path: &Path) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
    match read {
        Err(error) => Err(ReadError::Unreadable { path: path.to_owned(), error }),
        Ok(_) if bytes.len() as u64 > MAX_BYTES => Err(ReadError::TooLarge(path.to_owned())),
        Ok(_) => Ok(bytes),
    }
}

fn advice(path: &Path, error: &io::Error) -> String {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => format!("make it with `tidegate passwd {path} USER`"),
        io::ErrorKind::PermissionDenied => {
            format!("give it to the gateway's user: `chown USER {path}` and `chmod 600 {path}`")
        }
        _ => "look at its folder and its disk".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_told_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.passwd");
        let said = |path: &Path| read(path).map_or_else(|error| error.to_string(), |_| "good".to_owned());
        assert!(said(&path).contains("tidegate passwd"), "{}", said(&path));
        assert!(said(folder.path()).contains("cannot be read"), "{}", said(folder.path()));
        std::fs::write(&path, "a:geheim\n").unwrap();
        assert!(said(&path).contains("is not used: line 1: the password is not hashed"), "{}", said(&path));
        std::fs::File::create(&path).unwrap().set_len(MAX_BYTES + 1).unwrap();
        assert!(said(&path).contains("larger than 16 MiB"), "{}", said(&path));
    }
}
