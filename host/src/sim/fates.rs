//! What has to become of wills (MQTT 5, section 3.1.2.5, and decision 0045). A device tells each of its lives, the world tells those of
//! the process, and whoever subscribes to wills tells what it gets.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use super::coverage::happened;

/// How long a device that was connected when the gateway died has to come back.
const BACK: Duration = Duration::from_secs(10);
/// Between due and looked at.
const SWEEP: Duration = Duration::from_millis(1_500);

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    GoodBye,
    /// Without a word, before a gateway that ran, or stopped in good order.
    Dead,
    /// With its gateway.
    Crash,
    /// Something else was the matter.
    Unclear,
}

/// A connection of a device with a will.
#[derive(Debug)]
struct Life {
    begun: Instant,
    ended: Option<(Instant, End)>,
    delay: Duration,
    expiry: Duration,
    qos: u8,
    /// The next one was tried, and was let in.
    tried: Option<Instant>,
    back: Option<Instant>,
    published: Vec<Instant>,
}

#[derive(Debug, Default)]
struct Book {
    lives: BTreeMap<String, Life>,
    /// Of the process: begin, end, and whether it stopped in good order.
    runs: Vec<(Instant, Option<(Instant, bool)>)>,
    subscribed: Option<Instant>,
    /// What is not written at once, may not be written after so long.
    slack: Duration,
    broken: Vec<String>,
}

#[derive(Clone, Default)]
pub struct Fates(Arc<Mutex<Book>>);

// === impl Fates ===

impl Fates {
    pub fn new(slack: Duration) -> Self {
        Self(Arc::new(Mutex::new(Book { slack, ..Book::default() })))
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap()
    }

    pub fn process_begins(&self) {
        self.book().runs.push((Instant::now(), None));
    }

    /// `by_order`: from now on connections are closed, and wills with them.
    pub fn process_ends(&self, by_order: bool) {
        if let Some((_, end)) = self.book().runs.last_mut() {
            end.get_or_insert((Instant::now(), by_order));
        }
    }

    pub fn subscribed(&self) {
        self.book().subscribed.get_or_insert_with(Instant::now);
    }

    /// A device has been let in, with a will of this text.
    pub fn begins(&self, text: &str, qos: u8, delay: u32, expiry: u32) {
        let seconds = |count: u32| Duration::from_secs(count.into());
        let (begun, delay, expiry) = (Instant::now(), seconds(delay), seconds(expiry));
        let life = Life { begun, ended: None, delay, expiry, qos, tried: None, back: None, published: Vec::new() };
        self.book().lives.insert(text.to_owned(), life);
    }

    pub fn ends(&self, text: &str, end: End) {
        if let Some(life) = self.book().lives.get_mut(text) {
            life.ended = Some((Instant::now(), end));
        }
    }

    /// Its connection is closed from the other side: why?
    pub fn is_cut(&self, text: &str) {
        let end = match self.book().runs.last() {
            Some((_, Some((_, true)))) => End::Dead,
            Some((_, Some((_, false)))) => End::Crash,
            _ => End::Unclear,
        };
        self.ends(text, end);
    }

    /// The device of this life asks to be let in again.
    pub fn tries(&self, text: &str) {
        if let Some(life) = self.book().lives.get_mut(text) {
            life.tried.get_or_insert_with(Instant::now);
        }
    }

    pub fn is_back(&self, text: &str) {
        if let Some(life) = self.book().lives.get_mut(text) {
            life.back.get_or_insert_with(Instant::now);
        }
    }

    pub fn published(&self, text: &str) {
        happened("a will is published");
        let mut book = self.book();
        let Some(life) = book.lives.get_mut(text) else { return };
        life.published.push(Instant::now());
        let wrong = book.lives.get(text).and_then(|life| book.wrongly_published(text, life));
        book.broken.extend(wrong);
    }

    /// Promises that were broken. `finished`: everything has had its time.
    pub fn judge(&self, finished: bool) -> Vec<String> {
        let book = self.book();
        let missing = book.lives.iter().filter(|_| finished).filter_map(|(text, life)| book.missing(text, life));
        book.broken.iter().cloned().chain(missing).collect()
    }
}

// === impl Book ===

impl Book {
    /// What was written then may not be there any more.
    fn is_crash_near(&self, from: Instant, to: Instant) -> bool {
        let ends = self.runs.iter().filter_map(|(_, end)| end.map(|(at, _)| at));
        ends.into_iter().any(|at| at + SWEEP >= from && at <= to + self.slack)
    }

    fn wrongly_published(&self, text: &str, life: &Life) -> Option<String> {
        let now = Instant::now();
        if life.qos == 2 && life.published.len() > 1 {
            return Some(format!("the will {text} is published twice"));
        }
        let Some((ended, end)) = life.ended else {
            return Some(format!("the will {text} is published while its device is connected"));
        };
        let why = match end {
            End::Unclear => None,
            End::GoodBye if self.is_crash_near(ended, ended) => None,
            End::GoodBye => Some("after a good-bye"),
            End::Dead if now + SWEEP < ended + life.due_after_death() => Some("before its delay is over"),
            End::Dead => life
                .back
                .filter(|back| *back < ended + life.due_after_death())
                .and_then(|back| (!self.is_crash_near(ended, back)).then_some("after its device came back in time")),
            End::Crash => {
                let least = life.due_after_crash().saturating_sub(SWEEP);
                let until = life.back.unwrap_or(now);
                let is_early = self.longest_run(ended, until) < least;
                is_early.then_some(if life.back.is_some() {
                    "after its device came back in time"
                } else {
                    "before its device had time to come back"
                })
            }
        };
        why.map(|why| format!("the will {text} is published {why}"))
    }

    /// What a process had of this time, at most.
    fn longest_run(&self, from: Instant, until: Instant) -> Duration {
        let runs = self.runs.iter().filter(|(begin, _)| *begin >= from && *begin <= until);
        let lasted =
            runs.map(|(begin, end)| end.map_or(until, |(at, _)| at.min(until)).saturating_duration_since(*begin));
        lasted.max().unwrap_or_default()
    }

    fn missing(&self, text: &str, life: &Life) -> Option<String> {
        let (ended, end) = life.ended?;
        let is_heard = self.subscribed.is_some_and(|since| since < ended);
        if life.qos == 0 || !life.published.is_empty() || !is_heard {
            return None;
        }
        // Not before it is written: a gateway that dies a moment after CONNECT might not have had it.
        let is_written = !self.is_crash_near(life.begun, ended);
        let is_due = match end {
            End::GoodBye | End::Unclear => false,
            End::Dead => {
                let is_late =
                    |tried| tried > ended + life.due_after_death() + SWEEP && !self.is_crash_near(ended, tried);
                is_written && life.tried.is_none_or(is_late)
            }
            End::Crash => life.tried.is_none() && ended >= life.begun + self.slack,
        };
        if is_due {
            return Some(format!(
                "the will {text} was never published: its device ended by {end:?} and was back at {:?}",
                life.back
            ));
        }
        None
    }
}

// === impl Life ===

impl Life {
    fn due_after_death(&self) -> Duration {
        self.delay.min(self.expiry)
    }

    /// From the start of the next process on.
    fn due_after_crash(&self) -> Duration {
        let back = self.delay.max(BACK);
        if self.expiry.is_zero() { BACK } else { back.min(self.expiry) }
    }
}
