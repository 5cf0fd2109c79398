//! Messages that an upstream does not take, on their way to the dead letters.
//!
//! They go into the archive itself, and not through the spool as those of plugins do: a spool that is full of messages which the
//! upstream refuses has no room for their letters, and would never have. A message leaves the spool when its letter is on the disk;
//! a crash between the two makes a second letter, and never none.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::base::clock;
use crate::base::name::Name;
use crate::dead_letter::{ArchiveHandle, DeadLetter, Filed, Metadata};
use crate::message::Message;
use crate::spool::{Fate, Position};

/// A message with why it is not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undelivered {
    pub upstream: String,
    /// That made it, if one did.
    pub binding: Option<Name>,
    pub message: Message,
    pub reason: String,
    pub attempts: u32,
    /// When it came to the gateway, in milliseconds since the Unix epoch.
    pub arrived_ms: u64,
}

type Kept = Pin<Box<dyn Future<Output = Result<Filed, String>> + Send>>;

/// Where they are kept: the archive, or what stands for it in a test.
pub trait DeadLetters: Send + Sync {
    /// Resolves when those that it says are kept are durable, or with the reason why none is.
    fn keep(&self, letters: Vec<Undelivered>) -> Kept;
}

/// Between "given up" and "durable": one batch is under way, the next gathers. Bounded by the window, in which each keeps its place.
pub struct Filing {
    letters: Arc<dyn DeadLetters>,
    waiting: Vec<Waiting>,
    under_way: Option<JoinHandle<Attempt>>,
    /// Why they wait, as a person was told last.
    told: Option<String>,
}

type Waiting = (Position, Undelivered);

/// One batch was given to the archive.
struct Attempt {
    over: Vec<(Position, Fate)>,
    rest: Vec<Waiting>,
    shortage: Option<String>,
}

/// Before a full disk is tried again.
const RETRY: Duration = Duration::from_millis(500);

// === impl Filing ===

impl Filing {
    pub fn new(letters: Arc<dyn DeadLetters>) -> Self {
        Self { letters, waiting: Vec::new(), under_way: None, told: None }
    }

    pub fn add(&mut self, position: Position, letter: Undelivered) {
        self.waiting.push((position, letter));
    }

    pub fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_none()
    }

    /// Those that are durable now, and those that never will be: the archive is too small for them, so that they hold up nothing. Never,
    /// while there is none. Nothing is lost when it is not waited for to the end.
    pub async fn kept(&mut self) -> Vec<(Position, Fate)> {
        loop {
            if let Some(attempt) = &mut self.under_way {
                let attempt = attempt.await;
                self.under_way = None;
                // A panic in there ends the process.
                let Ok(Attempt { over, rest, shortage }) = attempt else { continue };
                self.waiting.splice(0..0, rest);
                self.told = shortage;
                if !over.is_empty() {
                    return over;
                }
            }
            if self.waiting.is_empty() {
                return std::future::pending().await;
            }
            let (letters, waiting) = (self.letters.clone(), std::mem::take(&mut self.waiting));
            self.under_way = Some(tokio::spawn(attempt(letters, waiting, self.told.clone())));
        }
    }
}

/// What cannot be kept now stays in the spool.
async fn attempt(archive: Arc<dyn DeadLetters>, mut waiting: Vec<Waiting>, told: Option<String>) -> Attempt {
    let letters = waiting.iter().map(|(_, letter)| letter.clone()).collect();
    let failed = |error| Filed { shortage: Some(error), ..Filed::default() };
    let Filed { are_kept, shortage } = archive.keep(letters).await.unwrap_or_else(failed);
    let rest = waiting.split_off(are_kept.len().min(waiting.len()));
    if let Some(reason) = shortage.as_ref().filter(|_| !rest.is_empty() && told != shortage) {
        tracing::error!(letters = rest.len(), "dead letters of an upstream wait in the spool: {reason}");
    }
    if are_kept.is_empty() {
        tokio::time::sleep(RETRY).await;
    }
    let fate = |is_kept| if is_kept { Fate::Undelivered } else { Fate::NeverSendable };
    let over = waiting.into_iter().zip(are_kept).map(|((position, _), is_kept)| (position, fate(is_kept)));
    Attempt { over: over.collect(), rest, shortage }
}

// === impl Undelivered ===

impl Undelivered {
    fn into_letter(self) -> DeadLetter {
        let Self { upstream, binding, message, reason, attempts, arrived_ms } = self;
        let (binding, failed_ms) = (binding.as_deref().unwrap_or_default().to_owned(), clock::unix_ms());
        let metadata = Metadata { upstream, binding, reason, attempts, arrived_ms, failed_ms, ..Metadata::default() };
        DeadLetter { message, metadata }
    }
}

// === impl ArchiveHandle ===

impl DeadLetters for ArchiveHandle {
    fn keep(&self, letters: Vec<Undelivered>) -> Kept {
        let archive = self.clone();
        Box::pin(async move { archive.file(letters.into_iter().map(Undelivered::into_letter).collect()).await })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::message::QoS;
    use crate::topic::TopicName;

    /// Room for so many at each attempt, none for "large".
    struct Narrow {
        room: Mutex<Vec<usize>>,
        kept: Mutex<Vec<String>>,
    }

    impl DeadLetters for Narrow {
        fn keep(&self, letters: Vec<Undelivered>) -> Kept {
            let (mut filed, room) = (Filed::default(), self.room.lock().unwrap().pop().unwrap_or(usize::MAX));
            for letter in &letters {
                if filed.are_kept.len() == room {
                    filed.shortage = Some("full".into());
                    break;
                }
                let is_kept = letter.reason != "large";
                filed.are_kept.push(is_kept);
                self.kept.lock().unwrap().extend(is_kept.then(|| letter.reason.clone()));
            }
            Box::pin(std::future::ready(Ok(filed)))
        }
    }

    fn letter(text: &str) -> Undelivered {
        let message = Message::new(TopicName::parse("t").unwrap(), "x", QoS::AtLeastOnce);
        let (upstream, reason) = ("cloud".to_owned(), text.to_owned());
        Undelivered { upstream, binding: None, message, reason, attempts: 1, arrived_ms: 0 }
    }

    #[tokio::test(start_paused = true)]
    async fn each_is_kept_once_by_an_archive_that_becomes_full_and_one_that_is_too_large_holds_up_nothing() {
        let room = Mutex::new(vec![0, 0, 2]);
        let archive = Arc::new(Narrow { room, kept: Mutex::default() });
        let mut filing = Filing::new(archive.clone());
        for (number, text) in ["a", "large", "b", "c"].iter().enumerate() {
            filing.add(Position::of(number as u64 + 1), letter(text));
        }
        let over = |number, fate| (Position::of(number), fate);
        assert_eq!(filing.kept().await, [over(1, Fate::Undelivered), over(2, Fate::NeverSendable)]);
        assert_eq!(filing.kept().await, [over(3, Fate::Undelivered), over(4, Fate::Undelivered)]);
        assert_eq!(*archive.kept.lock().unwrap(), ["a", "b", "c"]);
    }
}
