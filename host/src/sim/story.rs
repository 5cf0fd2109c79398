//! What happened in a run, with the time of the run: what a person reads when a seed fails.

use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::base::clock;

/// Shared, so that another thread can tell how far a run came that does not end.
pub type Lines = Arc<Mutex<Vec<String>>>;

struct Story {
    begun: Option<Instant>,
    lines: Lines,
}

thread_local! {
    static STORY: RefCell<Story> = RefCell::new(Story { begun: None, lines: Lines::default() });
}

pub fn begin() {
    STORY.with_borrow_mut(|story| story.begun = Some(clock::now()));
}

/// One line: who, and what.
pub fn line(who: &str, what: fmt::Arguments<'_>) {
    STORY.with_borrow(|story| {
        if let Some(begun) = story.begun {
            let at = clock::since(begun).as_secs_f64();
            story.lines.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{at:9.3} {who:8} {what}"));
        }
    });
}

pub fn end() -> Vec<String> {
    STORY.with_borrow_mut(|story| {
        story.begun = None;
        std::mem::take(&mut *story.lines.lock().unwrap_or_else(PoisonError::into_inner))
    })
}

/// Of the runs of this thread.
pub fn lines() -> Lines {
    STORY.with_borrow(|story| story.lines.clone())
}

macro_rules! tell {
    ($who:expr, $($what:tt)*) => { $crate::sim::story::line(&$who, format_args!($($what)*)) };
}
pub(super) use tell;

/// The gateway's own log, from warnings on, into the story.
pub struct Log;

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        line("log", format_args!("{}", String::from_utf8_lossy(bytes).trim_end()));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
