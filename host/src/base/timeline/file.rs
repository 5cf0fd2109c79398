//! The file of the anchor: two places, written in turn, so that one is whole whatever moment the power goes.
//!
//! ```text
//! offset 0, and offset 4096: checksum of the rest, as 8 hex digits; a space; JSON; a newline
//! ```
//!
//! Written in place and not under another name: that is one block of the disk each time, and this happens for years.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use super::{Anchor, Moment, now_ms};

pub struct AnchorFile {
    file: File,
    next: usize,
}

/// In the data folder.
const NAME: &str = "time";
/// A block of usual disks each.
const PLACES: [u64; 2] = [0, 4_096];
/// A sector: what is not longer is written whole or not at all.
const MAX_BYTES: usize = 512;

// === impl AnchorFile ===

impl AnchorFile {
    /// What the last process has left. None as well when it cannot be read: the time begins anew then, which is no reason not to run.
    pub fn read(data_dir: &Path) -> Option<Anchor> {
        let file = File::open(data_dir.join(NAME)).ok()?;
        let places = PLACES.iter().filter_map(|at| read(&file, *at));
        places.max_by_key(|anchor| anchor.time_ms)
    }

    pub fn open(data_dir: &Path) -> io::Result<Self> {
        let path = data_dir.join(NAME);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let newer = PLACES.iter().enumerate().filter_map(|(place, at)| Some((read(&file, *at)?.time_ms, place))).max();
        // The older one first.
        Ok(Self { file, next: newer.map_or(0, |(_, place)| (place + 1) % PLACES.len()) })
    }

    /// What time it is now. Blocks until it is on the disk.
    pub fn write(&mut self) -> io::Result<()> {
        self.put(&Anchor { time_ms: now_ms(), moment: Moment::read() })
    }

    fn put(&mut self, anchor: &Anchor) -> io::Result<()> {
        let json = serde_json::to_string(anchor)?;
        let line = format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes()));
        if line.len() > MAX_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a boot id that is too long"));
        }
        let at = PLACES.get(self.next).copied().unwrap_or_default();
        self.file.write_all_at(line.as_bytes(), at)?;
        self.file.sync_data()?;
        self.next = (self.next + 1) % PLACES.len();
        Ok(())
    }
}

fn read(file: &File, at: u64) -> Option<Anchor> {
    let mut bytes = [0; MAX_BYTES];
    let length = file.read_at(&mut bytes, at).ok()?;
    let text = bytes.get(..length)?.split(|byte| *byte == b'\n').next()?;
    let (checksum, json) = std::str::from_utf8(text).ok()?.split_once(' ')?;
    let is_whole = u32::from_str_radix(checksum, 16).ok()? == crc32fast::hash(json.as_bytes());
    serde_json::from_str(json).ok().filter(|_| is_whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anchor(time_ms: u64) -> Anchor {
        Anchor { time_ms, moment: Moment { wall_ms: 1, boot: Some("b".into()), uptime_ms: 2, has_rtc: true } }
    }

    #[test]
    fn the_last_one_is_read_and_after_a_torn_write_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(AnchorFile::read(folder.path()), None);
        for time_ms in [10, 20, 30] {
            // Opened anew each time, as by one process after another.
            AnchorFile::open(folder.path()).unwrap().put(&anchor(time_ms)).unwrap();
            assert_eq!(AnchorFile::read(folder.path()), Some(anchor(time_ms)));
        }
        let file = OpenOptions::new().write(true).open(folder.path().join(NAME)).unwrap();
        file.write_all_at(b"00", PLACES[0]).unwrap();
        assert_eq!(AnchorFile::read(folder.path()), Some(anchor(20)));
        AnchorFile::open(folder.path()).unwrap().put(&anchor(40)).unwrap();
        assert_eq!(AnchorFile::read(folder.path()), Some(anchor(40)));
    }

    #[test]
    fn what_is_no_anchor_is_none() {
        let folder = tempfile::tempdir().unwrap();
        for junk in [&b""[..], b"\n", b"00000000 {}\n", &[0xFF; 600]] {
            std::fs::write(folder.path().join(NAME), junk).unwrap();
            assert_eq!(AnchorFile::read(folder.path()), None);
        }
    }

    #[test]
    fn this_machine_has_a_start_and_an_uptime() {
        let (one, other) = (Moment::read(), Moment::read());
        assert!(one.boot.is_some() && one.boot == other.boot && one.uptime_ms <= other.uptime_ms);
    }
}
