//! Files that may change while the gateway runs: certificates, keys, password files, access rules.
//!
//! They are looked at by time, not by inotify: certificates arrive by `mv`, by a symbolic link that is turned (as Kubernetes does), on network
//! file systems, in folders that are made anew. A look costs one `stat` for each file.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

/// Certificates are renewed days before they end, and who removes a user waits for it at most so long, and once more until the file is still.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What of a file tells that it is another one: when it was written, its size, its inode, and when any of that or its mode changed, because one that is
/// written anew may have the old time (`rsync -t`, `touch -r`) and the old size, and one that could not be read becomes readable by a `chmod`.
/// `None`: there is none, or it cannot be looked at.
type Stamp = Option<(SystemTime, u64, u64, (i64, i64))>;

/// Made before the files are read, so that no change between the two is overlooked.
#[derive(Clone, Debug)]
pub struct WatchedFiles {
    paths: Vec<PathBuf>,
    taken: Vec<Stamp>,
    seen: Vec<Stamp>,
}

/// Calls `reload` after each change of one of these files, on a thread that may wait for disks, until `stop`. It says itself what was wrong
/// with them: what was read before stays in use then.
pub async fn watch(mut files: WatchedFiles, stop: CancellationToken, reload: impl Fn() + Send + Sync + 'static) {
    let reload = Arc::new(reload);
    let mut every = tokio::time::interval(LOOK_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(every.tick()).await.is_some() {
        let reload = reload.clone();
        let look = move || {
            if files.have_changed() {
                reload();
            }
            files
        };
        // A panic in it has ended the process.
        let Ok(looked) = tokio::task::spawn_blocking(look).await else { return };
        files = looked;
    }
}

// === impl WatchedFiles ===

impl WatchedFiles {
    pub fn new(paths: Vec<PathBuf>) -> Self {
        let taken = stamps(&paths);
        Self { paths, seen: taken.clone(), taken }
    }

    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Whether they are others than before, and have been still since the last look: of a file that is being written half would be read.
    fn have_changed(&mut self) -> bool {
        let now = stamps(&self.paths);
        let is_still = now == self.seen;
        self.seen = now;
        if !is_still || self.seen == self.taken {
            return false;
        }
        self.taken.clone_from(&self.seen);
        true
    }
}

fn stamps(paths: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |path: &PathBuf| {
        let metadata = fs::metadata(path).ok()?;
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        Some((metadata.modified().ok()?, metadata.len(), metadata.ino(), changed))
    };
    paths.iter().map(stamp).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_change_is_told_once_when_the_file_is_still() {
        let folder = tempfile::tempdir().unwrap();
        let (path, next) = (folder.path().join("a"), folder.path().join("next"));
        fs::write(&path, "1").unwrap();
        let mut files = WatchedFiles::new(vec![path.clone()]);
        assert!(!files.have_changed());
        fs::write(&next, "2").unwrap();
        fs::rename(&next, &path).unwrap();
        let looks: Vec<bool> = (0..4).map(|_| files.have_changed()).collect();
        assert_eq!(looks, [false, true, false, false]);
    }

    #[test]
    fn one_that_is_written_all_the_time_waits_until_it_is_still() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut files = WatchedFiles::new(vec![path.clone()]);
        for size in 1..5 {
            fs::write(&path, vec![0; size]).unwrap();
            assert!(!files.have_changed());
        }
        assert!(files.have_changed());
    }

    #[test]
    fn one_that_is_written_anew_with_its_old_size_and_time_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "old").unwrap();
        let written = fs::metadata(&path).unwrap().modified().unwrap();
        let mut files = WatchedFiles::new(vec![path.clone()]);
        // The clock of a file system goes by ticks.
        std::thread::sleep(Duration::from_millis(20));
        fs::write(&path, "new").unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(written).unwrap();
        let looks: Vec<bool> = (0..3).map(|_| files.have_changed()).collect();
        assert_eq!(looks, [false, true, false]);
    }

    #[test]
    fn one_whose_mode_is_mended_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "1").unwrap();
        let mut files = WatchedFiles::new(vec![path.clone()]);
        std::thread::sleep(Duration::from_millis(20));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let looks: Vec<bool> = (0..3).map(|_| files.have_changed()).collect();
        assert_eq!(looks, [false, true, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn it_reloads_after_a_change_and_ends_when_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let (stop, (told, mut heard)) = (CancellationToken::new(), tokio::sync::mpsc::unbounded_channel());
        let files = WatchedFiles::new(vec![path.clone()]);
        // Before anybody looks.
        fs::write(&path, "new").unwrap();
        let task = tokio::spawn(watch(files, stop.clone(), move || told.send(()).unwrap()));
        heard.recv().await.unwrap();
        stop.cancel();
        task.await.unwrap();
    }
}
