use std::io::ErrorKind;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::queue::{MAX_BYTES, MAX_LINES};
use super::*;

const PATIENCE: Duration = Duration::from_secs(30);

/// What becomes of the next write.
enum Fate {
    Written,
    /// So many bytes, and then the disk is full.
    Torn(usize),
    Failed,
}

/// Each write waits for its fate.
struct Script {
    fates: Receiver<Fate>,
    text: Text,
    tears: bool,
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if std::mem::take(&mut self.tears) {
            return Err(ErrorKind::StorageFull.into());
        }
        let count = match self.fates.recv() {
            Ok(Fate::Written) => bytes.len(),
            Ok(Fate::Torn(count)) => {
                self.tears = true;
                count
            }
            Ok(Fate::Failed) | Err(_) => return Err(ErrorKind::BrokenPipe.into()),
        };
        self.text.lock().unwrap().push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What was written.
type Text = Arc<Mutex<String>>;

/// What the thread has told.
type Told = Receiver<(u64, u64)>;

/// A log, the fates of its writes, its text, and what was told.
fn log() -> (LogWriter, SyncSender<Fate>, Text, Told) {
    let (send, fates) = sync_channel(100_000);
    let (tell, told) = sync_channel(100);
    let text = Text::default();
    let script = Script { fates, text: text.clone(), tears: false };
    let log = LogWriter::start(script, move |lines, in_all| tell.send((lines, in_all)).unwrap()).unwrap();
    (log, send, text, told)
}

/// The writer has the first line, and is held by it.
fn wait_until_taken(log: &LogWriter) {
    while log.0.queue().waiting() > 0 {
        std::thread::yield_now();
    }
}

fn text(text: &Mutex<String>) -> String {
    text.lock().unwrap().clone()
}

#[test]
fn a_reader_that_is_away_stops_nobody_and_what_it_missed_is_counted_and_told_once() {
    let (mut log, fates, _, told) = log();
    log.write_all(b"held by the writer\n").unwrap();
    wait_until_taken(&log);
    (0..MAX_LINES + 3).for_each(|_| log.write_all(b"x\n").unwrap());
    assert_eq!(log.lost(), 3);
    assert!(!log.flush(Duration::ZERO));
    (0..=MAX_LINES).for_each(|_| fates.send(Fate::Written).unwrap());
    assert!(log.flush(PATIENCE));
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [(3, 3)]);
}

#[test]
fn bytes_are_bounded_as_lines_are() {
    let (mut log, _fates, ..) = log();
    log.write_all(b"held by the writer\n").unwrap();
    wait_until_taken(&log);
    let large = vec![b'x'; MAX_BYTES / 2];
    (0..3).for_each(|_| log.write_all(&large).unwrap());
    assert_eq!(log.lost(), 1);
    log.write_all(b"small\n").unwrap();
    assert_eq!(log.lost(), 2);
}

#[test]
fn writes_that_fail_are_counted_and_told_when_one_succeeds() {
    let (mut log, fates, out, told) = log();
    let fate = [Fate::Failed, Fate::Failed, Fate::Written];
    fate.into_iter().for_each(|fate| fates.send(fate).unwrap());
    ["a\n", "b\n", "c\n"].iter().for_each(|line| log.write_all(line.as_bytes()).unwrap());
    assert!(log.flush(PATIENCE));
    assert_eq!((text(&out).as_str(), log.lost(), told.try_recv()), ("c\n", 2, Ok((2, 2))));
}

#[test]
fn a_line_that_was_cut_does_not_spoil_the_next_one() {
    let (mut log, fates, out, _told) = log();
    [Fate::Torn(2), Fate::Written, Fate::Written].into_iter().for_each(|fate| fates.send(fate).unwrap());
    ["first\n", "second\n"].iter().for_each(|line| log.write_all(line.as_bytes()).unwrap());
    assert!(log.flush(PATIENCE));
    assert_eq!((text(&out).as_str(), log.lost()), ("fi\nsecond\n", 1));
}
