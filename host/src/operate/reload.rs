//! How a running gateway is asked to read its configuration again, and what it answers.

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::config::Plan;

/// So many may wait for the one that is being carried out.
const WAITING: usize = 8;

/// For whoever asks. Cheap to clone.
#[derive(Clone)]
pub struct Reloads(mpsc::Sender<ReloadRequest>);

pub struct ReloadRequest {
    /// Only say what would be done.
    pub dry_run: bool,
    pub answer: oneshot::Sender<ReloadReport>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ReloadReport {
    /// The configuration that was read.
    pub file: String,
    /// Why nothing has changed.
    pub refused: Option<String>,
    pub dry_run: bool,
    pub plan: Plan,
    /// What works and was probably not meant.
    pub warnings: Vec<String>,
}

// === impl Reloads ===

impl Reloads {
    pub fn new() -> (Self, mpsc::Receiver<ReloadRequest>) {
        let (ask, asked) = mpsc::channel(WAITING);
        (Self(ask), asked)
    }

    /// Returns when it is done.
    pub async fn ask(&self, dry_run: bool) -> Result<ReloadReport, String> {
        let (answer, answered) = oneshot::channel();
        let asked = self.0.try_send(ReloadRequest { dry_run, answer });
        asked.map_err(|_| {
            "the gateway stops, or is busy with reloads that were asked for before: ask again".to_owned()
        })?;
        answered.await.map_err(|_| "the gateway stops".to_owned())
    }
}

// === impl ReloadReport ===

impl ReloadReport {
    pub fn refused(file: impl Into<String>, why: impl Into<String>) -> Self {
        Self { file: file.into(), refused: Some(why.into()), ..Self::default() }
    }

    /// For who reads the log.
    pub fn log(&self) {
        let file = &self.file;
        if let Some(why) = &self.refused {
            return tracing::error!(file, "the configuration is not reloaded, and the one from before holds: {why}");
        }
        for warning in &self.warnings {
            tracing::warn!(file, "{warning}");
        }
        for step in &self.plan.now {
            tracing::info!("reload: {}: {}", step.what, step.how);
        }
        for step in &self.plan.restart {
            tracing::warn!("reload: {}: not before a restart: {}", step.what, step.how);
        }
        let (done, restart) = (self.plan.now.len(), self.plan.restart.len());
        tracing::info!(file, done, restart, "configuration reloaded");
    }
}
