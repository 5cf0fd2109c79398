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
use crate::dead_letter::{ArchiveHandle, Facts, Letter};
use crate::message::Message;
use crate::spool::Position;

/// A message with why it is not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undelivered {
    pub upstream: String,
    /// That made it, if one did.
    pub binding: Option<Arc<str>>,
    pub message: Message,
    pub reason: String,
    pub attempts: u32,
    /// When it came to the gateway, in milliseconds since the Unix epoch.
    pub arrived_ms: u64,
}

type Kept = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Where they are kept: the archive, or what stands for it in a test.
pub trait DeadLetters: Send + Sync {
    /// Resolves when they are durable, all of them, or with the reason why they are not.
    fn keep(&self, letters: Vec<Undelivered>) -> Kept;
}

/// Between "given up" and "durable": one batch is under way, the next gathers. Bounded by the window, in which each keeps its place.
pub struct Filing {
    letters: Arc<dyn DeadLetters>,
    waiting: Vec<(Position, Undelivered)>,
    under_way: Option<(Vec<Position>, JoinHandle<()>)>,
}

// === impl Filing ===

impl Filing {
    pub fn new(letters: Arc<dyn DeadLetters>) -> Self {
        Self { letters, waiting: Vec::new(), under_way: None }
    }

    pub fn add(&mut self, position: Position, letter: Undelivered) {
        self.waiting.push((position, letter));
    }

    /// Those that are durable now. Never, while there is none. Nothing is lost when it is not waited for to the end.
    pub async fn kept(&mut self) -> Vec<Position> {
        loop {
            if let Some((positions, writing)) = &mut self.under_way {
                // A panic in there ends the process.
                let _ = writing.await;
                let positions = std::mem::take(positions);
                self.under_way = None;
                return positions;
            }
            if self.waiting.is_empty() {
                return std::future::pending().await;
            }
            let (positions, letters) = std::mem::take(&mut self.waiting).into_iter().unzip();
            self.under_way = Some((positions, tokio::spawn(keep(self.letters.clone(), letters))));
        }
    }
}

/// Until they are there: what cannot be kept stays in the spool.
async fn keep(archive: Arc<dyn DeadLetters>, letters: Vec<Undelivered>) {
    let mut told = None;
    while let Err(error) = archive.keep(letters.clone()).await {
        if told.as_ref() != Some(&error) {
            tracing::error!(letters = letters.len(), "dead letters of an upstream wait in the spool: {error}");
            told = Some(error);
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Before a full disk is tried again.
const RETRY: Duration = Duration::from_millis(500);

// === impl Undelivered ===

impl Undelivered {
    fn into_letter(self) -> Letter {
        let Self { upstream, binding, message, reason, attempts, arrived_ms } = self;
        let (binding, failed_ms) = (binding.unwrap_or_default().to_string(), clock::unix_ms());
        let facts = Facts { upstream, binding, reason, attempts, arrived_ms, failed_ms, ..Facts::default() };
        Letter { message, facts }
    }
}

// === impl ArchiveHandle ===

impl DeadLetters for ArchiveHandle {
    fn keep(&self, letters: Vec<Undelivered>) -> Kept {
        let archive = self.clone();
        Box::pin(async move { archive.file(letters.into_iter().map(Undelivered::into_letter).collect()).await })
    }
}
