//! The HTTP listener of an operator, from the first moment of a start to the last of a stop; and its token, which is read again when it
//! changes.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::base::watched_files::{WatchedFiles, watch};
use crate::config;
use crate::operate::Observer;
use crate::operate::http::{Server, Stage, State, Token};

pub struct Http {
    state: Arc<State>,
    /// The server, and who watches the token. Empty when nobody listens.
    tasks: Vec<JoinHandle<()>>,
    stop: CancellationToken,
}

// === impl Http ===

impl Http {
    /// None in the configuration is nobody who listens.
    pub async fn start(config: Option<&config::Http>) -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        let Some(config::Http { bind, token_file }) = config else {
            return Ok(Self { state: State::new(None), tasks: Vec::new(), stop });
        };
        // Before it is read, so that no change is overlooked.
        let files = WatchedFiles::new(token_file.iter().cloned().collect());
        let token = token_file.as_deref().map(read).transpose()?;
        let state = State::new(token);
        let mut tasks = vec![Server::bind(*bind).await?.start(state.clone(), stop.clone())];
        if let Some(path) = token_file.clone() {
            let reloaded = state.clone();
            tasks.push(tokio::spawn(watch(files, stop.clone(), move || reload(&path, &reloaded))));
        }
        Ok(Self { state, tasks, stop })
    }

    /// What the start is at.
    pub fn starting(&self, what: &'static str) {
        self.state.enter(Stage::Starting(what));
    }

    /// All is there.
    pub fn show(&self, observer: Arc<Observer>) {
        self.state.show(observer);
    }

    pub fn stopping(&self) {
        self.state.enter(Stage::Stopping);
    }

    /// Why it ended by itself. Never, where nobody listens.
    pub async fn ended(&mut self) -> String {
        match self.tasks.first_mut() {
            Some(server) => format!("the HTTP listener ended by itself: {:?}", server.await),
            None => std::future::pending().await,
        }
    }

    pub async fn stop(&mut self, by: Instant) {
        self.stop.cancel();
        for task in &mut self.tasks {
            let _ = tokio::time::timeout_at(by, task).await;
        }
    }
}

fn read(path: &Path) -> anyhow::Result<Token> {
    Token::read(path).with_context(|| format!("`operate.http_token_file` {}", path.display()))
}

/// Whether it is in use.
fn reload(path: &Path, state: &State) -> bool {
    match Token::read(path) {
        Ok(token) => {
            state.replace_token(token);
            tracing::info!(file = %path.display(), "the token for HTTP has changed: the one from before is refused from now on");
            true
        }
        Err(error) => {
            tracing::error!(file = %path.display(), "the token for HTTP {error}; the one from before stays in use");
            false
        }
    }
}
