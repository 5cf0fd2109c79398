//! What the answers are made from, and how far the gateway is.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::text::Format;
use super::token::Token;
use crate::metrics::{Counter, Families};
use crate::operate::process::Process;
use crate::operate::{Observer, health};

/// For a lock that is free in microseconds.
const PATIENCE: Duration = Duration::from_secs(2);
/// For the scrape before this one.
const TURN: Duration = Duration::from_secs(5);

pub struct State {
    stage: Mutex<Stage>,
    /// None where nobody has to know one.
    token: Option<Mutex<Token>>,
    pub(super) tokens_refused: Counter,
    observer: OnceLock<Arc<Observer>>,
    process: Process,
    /// One scrape at a time: a text of a large gateway is a megabyte.
    turn: Arc<Semaphore>,
}

/// Of the life of a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// And what is missing.
    Starting(&'static str),
    Running,
    Stopping,
}

// === impl State ===

impl State {
    pub fn new(token: Option<Token>) -> Arc<Self> {
        Arc::new(Self {
            stage: Mutex::new(Stage::Starting("the gateway has just begun")),
            token: token.map(Mutex::new),
            tokens_refused: Counter::default(),
            observer: OnceLock::new(),
            process: Process::new(),
            turn: Arc::new(Semaphore::new(1)),
        })
    }

    pub fn enter(&self, stage: Stage) {
        *lock(&self.stage) = stage;
    }

    /// Everything is there to be looked at.
    pub fn show(&self, observer: Arc<Observer>) {
        let _ = self.observer.set(observer);
        self.enter(Stage::Running);
    }

    /// Who asks with another one is refused from now on.
    pub fn replace_token(&self, token: Token) {
        if let Some(ours) = &self.token {
            *lock(ours) = token;
        }
    }

    /// Whether this is the token; `None` where there is none.
    pub(super) fn admits(&self, authorization: &[u8]) -> Option<bool> {
        self.token.as_ref().map(|token| lock(token).is_in(authorization))
    }

    /// What does not live any more; empty when all does.
    pub(super) async fn dead(&self) -> Vec<String> {
        let Some(observer) = self.observer.get().cloned() else { return Vec::new() };
        // Off the async threads: what it looks for are locks that do not come free.
        let looked = tokio::task::spawn_blocking(move || health::dead(&observer));
        match timeout(PATIENCE, looked).await {
            Ok(Ok(dead)) => dead,
            _ => vec![format!("the spool or the sessions have been locked for {PATIENCE:?}")],
        }
    }

    /// What is missing before the gateway does all of its work; empty when nothing is.
    pub(super) fn missing(&self) -> Vec<String> {
        match (*lock(&self.stage), self.observer.get()) {
            (Stage::Running, Some(observer)) => health::missing(observer),
            (Stage::Stopping, _) => vec!["the gateway is stopping".to_owned()],
            (Stage::Starting(what), _) => vec![what.to_owned()],
            (Stage::Running, None) => Vec::new(),
        }
    }

    /// All metrics as text; none while the gateway starts, or where others have been asking for too long.
    pub(super) async fn metrics(self: Arc<Self>, format: Format) -> Option<String> {
        let observer = self.observer.get()?.clone();
        let turn = timeout(TURN, self.turn.clone().acquire_owned()).await.ok()?.ok()?;
        let disk = observer.on_disk().await;
        let work = move || {
            // Until it is done, whether somebody still waits for it or not.
            let _turn = turn;
            let mut families = observer.families(&disk);
            self.measure(&mut families);
            format.encode(families).ok()
        };
        tokio::task::spawn_blocking(work).await.ok().flatten()
    }

    fn measure(&self, to: &mut Families) {
        let help = "1, and which version this is.";
        to.gauge("tidegate_build_info", help, &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
        let help = "Requests over HTTP without the right token.";
        to.counter("tidegate_http_tokens_refused_total", help, &[], self.tokens_refused.get() as f64);
        self.process.measure(to);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
