//! Files that may change while the gateway runs: certificates, keys, password files, access rules.
//!
//! They are looked at by time, not by inotify: certificates arrive by `mv`, by a symbolic link that is turned (as Kubernetes does), on network
//! file systems, in folders that are made anew. A look costs one `stat` for each file.
//!
//! What cannot be used is tried again after some minutes though nothing has changed, because the reason may lie beside the file: no descriptor
//! was free, a policy of the system forbade it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

/// Certificates are renewed days before they end, and who removes a user waits for it at most so long, and once more until the file is still.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Until what could not be used is tried, and told, again: in looks.
const LOOKS_UNTIL_AGAIN: u32 = 300;

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
    /// Looks until what was taken is tried again. None: it is in use.
    again_in: Option<u32>,
}

/// Calls `reload` after each change of one of these files, on a thread that may wait for disks, until `stop`. It says itself what was wrong
/// with them, and gives whether they are in use: what was read before is otherwise.
pub async fn watch(
    mut files: WatchedFiles,
    stop: CancellationToken,
    reload: impl Fn() -> bool + Send + Sync + 'static,
) {
    let reload = Arc::new(reload);
    let mut every = tokio::time::interval(LOOK_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(every.tick()).await.is_some() {
        let reload = reload.clone();
        let look = move || {
            if files.are_due() {
                files.again_in = (!reload()).then_some(LOOKS_UNTIL_AGAIN);
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
        Self { paths, seen: taken.clone(), taken, again_in: None }
    }

    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    fn are_due(&mut self) -> bool {
        self.again_in = self.again_in.map(|looks| looks.saturating_sub(1));
        self.have_changed() || self.again_in == Some(0)
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
    async fn what_cannot_be_used_is_tried_again_though_no_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let (stop, (told, mut heard)) = (CancellationToken::new(), tokio::sync::mpsc::unbounded_channel());
        let files = WatchedFiles::new(vec![path.clone()]);
        fs::write(&path, "new").unwrap();
        let tries = std::sync::atomic::AtomicU32::new(0);
        let task = tokio::spawn(watch(files, stop.clone(), move || {
            told.send(()).unwrap();
            tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 2
        }));
        for _ in 0..3 {
            heard.recv().await.unwrap();
        }
        let once_more = tokio::time::timeout(LOOK_EVERY * 2 * LOOKS_UNTIL_AGAIN, heard.recv()).await;
        assert!(once_more.is_err(), "it is in use");
        stop.cancel();
        task.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn it_reloads_after_a_change_and_ends_when_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let (stop, (told, mut heard)) = (CancellationToken::new(), tokio::sync::mpsc::unbounded_channel());
        let files = WatchedFiles::new(vec![path.clone()]);
        // Before anybody looks.
        fs::write(&path, "new").unwrap();
        let task = tokio::spawn(watch(files, stop.clone(), move || told.send(()).is_ok()));
        heard.recv().await.unwrap();
        stop.cancel();
        task.await.unwrap();
    }
}
