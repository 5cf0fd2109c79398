//! What only the real file system can show.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

fn open_at(dir: &Path) -> Result<(Log<OsDisk>, u64), OpenError> {
    let mut frames = 0;
    let (log, _) = Log::open(OsDisk, dir, small(), &mut |_, _| frames += 1)?;
    Ok((log, frames))
}

#[test]
fn a_log_on_disk_is_private_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("data/spool");
    let (mut log, _) = open_at(&dir).unwrap();
    for segment in 1..=3 {
        log.roll(Frame { kind: SNAPSHOT, body: b"" }).unwrap();
        log.append(&[record(b"a"), record(b"b")]).unwrap();
        log.remove_below(segment).unwrap();
    }
    drop(log);
    for entry in fs::read_dir(&dir).unwrap() {
        let entry = entry.unwrap();
        let (mode, kind) = (entry.metadata().unwrap().permissions().mode(), entry.file_type().unwrap());
        assert_eq!(mode & 0o777, if kind.is_dir() { 0o700 } else { 0o600 }, "{:?}", entry.path());
    }
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    let (log, frames) = open_at(&dir).unwrap();
    assert_eq!((log.first_segment(), log.active_segment(), frames), (3, 3, 3));
}

#[test]
fn a_folder_in_use_names_the_process_that_holds_it() {
    let dir = tempfile::tempdir().unwrap();
    let held = open_at(dir.path()).unwrap();
    let error = open_at(dir.path()).err().unwrap().to_string();
    assert!(error.contains(&format!("in use by process {}", std::process::id())), "{error}");
    drop(held);
    open_at(dir.path()).unwrap();
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    let error = open_at(&file).err().unwrap().to_string();
    assert!(error.contains("/file"), "{error}");
}
