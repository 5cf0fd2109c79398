//! Whether the committer still turns. It is asked, and answers by itself: a counter that stands still would be no sign, because a committer
//! without work sleeps.

use tokio::sync::oneshot;

use super::{Shared, Spool};

/// Whoever waits for the committer's next turn.
#[derive(Debug, Default)]
pub(super) struct Heartbeat(Option<oneshot::Sender<()>>);

// === impl Heartbeat ===

impl Heartbeat {
    pub fn is_asked(&self) -> bool {
        self.0.is_some()
    }
}

// === impl Spool ===

impl Spool {
    /// Ends with the next turn of the committer, and never when there is none any more. Whoever asked before, and waits still, is forgotten.
    pub fn heartbeat(&self) -> impl Future<Output = ()> + Send + use<> {
        let (asked, answer) = oneshot::channel();
        self.shared.queue_state().heartbeat = Heartbeat(Some(asked));
        self.shared.notify();
        async move {
            if answer.await.is_err() {
                std::future::pending().await
            }
        }
    }
}

// === impl Shared ===

impl Shared {
    /// A turn of the committer begins. Whether the spool is closing.
    pub(super) fn begin_turn(&self) -> bool {
        let mut queue_state = self.queue_state();
        let (closing, asked) = (queue_state.closing, queue_state.heartbeat.0.take());
        drop(queue_state);
        if let Some(asked) = asked {
            // Who does not wait any more has stopped.
            let _ = asked.send(());
        }
        closing
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::config;

    #[tokio::test]
    async fn a_committer_that_sleeps_answers_each_time_and_one_that_has_ended_never() {
        let folder = tempfile::tempdir().unwrap();
        let (spool, _) = Spool::open(folder.path(), &["up"], &config::Spool::default(), Arc::default()).unwrap();
        for _ in 0..100 {
            spool.heartbeat().await;
        }
        spool.close().await;
        let late = tokio::time::timeout(Duration::from_millis(100), spool.heartbeat()).await;
        assert!(late.is_err(), "an answer of nobody");
    }
}
