//! What happened in a run, with the time of the run: what a person reads when a seed fails.

use std::cell::RefCell;
use std::fmt;
use std::time::Instant;

use crate::base::clock;

struct Story {
    begun: Instant,
    lines: Vec<String>,
}

thread_local! {
    static STORY: RefCell<Option<Story>> = const { RefCell::new(None) };
}

pub fn begin() {
    STORY.set(Some(Story { begun: clock::now(), lines: Vec::new() }));
}

/// One line: who, and what.
pub fn line(who: &str, what: fmt::Arguments<'_>) {
    STORY.with_borrow_mut(|story| {
        if let Some(story) = story {
            let at = clock::since(story.begun).as_secs_f64();
            story.lines.push(format!("{at:9.3} {who:8} {what}"));
        }
    });
}

pub fn end() -> Vec<String> {
    STORY.take().map(|story| story.lines).unwrap_or_default()
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
