//! A password file, changed: one user set or taken out, every other line as it was.
//!
//! Replaced whole, so that a gateway that reads it finds the old one or the new one, also after a power cut. Two who change it at once wait
//! for each other: the lock is on the folder, because the file is another one afterwards.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use super::file::{ReadError, read_bytes};
use super::hash::Hash;
use super::users::without_mark;
use crate::base::private_file;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edited {
    Added,
    Changed,
    Removed,
    /// It was not there.
    Nothing,
}

/// Sets the password of a user. A file that is not there is made.
pub fn set(path: &Path, name: &str, hash: &Hash) -> io::Result<Edited> {
    let line = format!("{name}:{}", hash.to_line());
    edit(path, name, Some(&line))
}

pub fn remove(path: &Path, name: &str) -> io::Result<Edited> {
    edit(path, name, None)
}

fn edit(path: &Path, name: &str, line: Option<&str>) -> io::Result<Edited> {
    // The file itself, and not a link to it, is replaced.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = File::open(folder_of(path))?;
    folder.lock()?;
    let old = match read_bytes(path) {
        Ok(bytes) => Some(bytes),
        Err(ReadError::Unreadable { error, .. }) if error.kind() == ErrorKind::NotFound => None,
        Err(ReadError::Unreadable { error, .. }) => return Err(error),
        Err(error) => return Err(io::Error::new(ErrorKind::InvalidData, error)),
    };
    let (new, edited) = replaced(old.as_deref().unwrap_or_default(), name, line);
    if edited != Edited::Nothing {
        write(path, &new, old.is_some())?;
        folder.sync_all()?;
    }
    Ok(edited)
}

/// The file with this line for this user, in its place. With several lines of one user, which no gateway takes, only this one is left.
fn replaced(old: &[u8], name: &str, line: Option<&str>) -> (Vec<u8>, Edited) {
    let is_of = |line: &[u8]| line.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&b':'));
    let (mut new, mut left, mut was_there) = (Vec::with_capacity(old.len() + 256), line, false);
    for kept in without_mark(old).split_inclusive(|byte| *byte == b'\n') {
        if !is_of(kept) {
            new.extend_from_slice(kept);
            continue;
        }
        was_there = true;
        put(&mut new, left.take());
    }
    if new.last().is_some_and(|last| *last != b'\n') {
        new.push(b'\n');
    }
    put(&mut new, left);
    let edited = match (line, was_there) {
        (Some(_), true) => Edited::Changed,
        (Some(_), false) => Edited::Added,
        (None, true) => Edited::Removed,
        (None, false) => Edited::Nothing,
    };
    (new, edited)
}

fn put(file: &mut Vec<u8>, line: Option<&str>) {
    if let Some(line) = line {
        file.extend_from_slice(line.as_bytes());
        file.push(b'\n');
    }
}

/// Owner and mode stay: root, who changes the file of the gateway's user, must not take it away from it.
fn write(path: &Path, bytes: &[u8], exists: bool) -> io::Result<()> {
    let new = beside(path);
    private_file::discard(&new)?;
    let mut file = private_file::create(&new)?;
    let written = (|| {
        if exists {
            let old = fs::metadata(path)?;
            let ours = file.metadata()?;
            if (old.uid(), old.gid()) != (ours.uid(), ours.gid()) {
                fchown(&file, Some(old.uid()), Some(old.gid()))?;
            }
            file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o7777))?;
        }
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$7$101$sWWLTZH57aaG2M4a$O6pItTyN+wu9sEd+TtIOR5KwvKL7/iwL6XCZBsk/8JV9OVoRkW8Ho1CpoEnt3hvctiLfkVtJFxrBubOIaAWpdg==";

    fn hash() -> Hash {
        Hash::parse(HASH).unwrap()
    }

    fn text(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn other_lines_stay_as_they_are_and_one_user_has_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p");
        fs::write(&path, "# plant 7\r\na:$6$old\nab:$6$other\n\na:$6$twice\nlast:$6$x").unwrap();
        assert_eq!(set(&path, "a", &hash()).unwrap(), Edited::Changed);
        assert_eq!(text(&path), format!("# plant 7\r\na:{HASH}\nab:$6$other\n\nlast:$6$x\n"));
        assert_eq!(set(&path, "new", &hash()).unwrap(), Edited::Added);
        assert_eq!(remove(&path, "a").unwrap(), Edited::Removed);
        assert_eq!(remove(&path, "a").unwrap(), Edited::Nothing);
        assert_eq!(text(&path), format!("# plant 7\r\nab:$6$other\n\nlast:$6$x\nnew:{HASH}\n"));
    }

    #[test]
    fn a_new_file_is_for_its_user_alone_and_an_old_one_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p");
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(remove(&path, "a").unwrap(), Edited::Nothing);
        assert!(!path.exists());
        set(&path, "a", &hash()).unwrap();
        assert_eq!(mode(), 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        set(&path, "a", &hash()).unwrap();
        assert_eq!((mode(), fs::read_dir(folder.path()).unwrap().count()), (0o640, 1));
    }

    #[test]
    fn a_link_stays_and_what_it_leads_to_is_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&real, "").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        set(&link, "a", &hash()).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink() && text(&real).starts_with("a:$7$"));
    }

    #[test]
    fn many_at_once_lose_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = &folder.path().join("p");
        std::thread::scope(|scope| {
            for number in 0..20 {
                scope.spawn(move || set(path, &format!("u{number}"), &hash()).unwrap());
            }
        });
        assert_eq!(text(path).lines().count(), 20);
    }
}
