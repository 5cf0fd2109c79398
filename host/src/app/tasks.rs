//! The tasks of a stage: none of them should end by itself, and each may be told to.

use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub struct Tasks {
    /// Each gives its name when it ends and nobody has told it to.
    running: JoinSet<Option<String>>,
    stop: CancellationToken,
}

// === impl Tasks ===

impl Tasks {
    pub fn new() -> Self {
        Self { running: JoinSet::new(), stop: CancellationToken::new() }
    }

    /// For some of them, which end with all.
    pub fn token(&self) -> CancellationToken {
        self.stop.child_token()
    }

    /// Of all of them.
    pub fn stop_token(&self) -> &CancellationToken {
        &self.stop
    }

    /// One that ends when `stop` is cancelled.
    pub fn spawn(
        &mut self,
        name: impl Into<String>,
        stop: &CancellationToken,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let (name, stop) = (name.into(), stop.clone());
        self.running.spawn(async move {
            task.await;
            (!stop.is_cancelled()).then_some(name)
        });
    }

    /// Why one ended by itself.
    pub async fn ended(&mut self) -> String {
        loop {
            match self.running.join_next().await {
                Some(Ok(None)) => {}
                Some(Ok(Some(name))) => return format!("the {name} ended by itself"),
                ended => return format!("a listener, a timer or the sweep of sessions ended by itself: {ended:?}"),
            }
        }
    }

    /// Whether all have ended by then.
    pub async fn stop(mut self, by: Instant) -> bool {
        self.stop.cancel();
        let all = async { while self.running.join_next().await.is_some() {} };
        tokio::time::timeout_at(by, all).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_who_was_not_told_to_has_ended_by_itself() {
        let mut tasks = Tasks::new();
        let (told, other) = (tasks.token(), tasks.token());
        let until = told.clone();
        tasks.spawn("one", &told, async move { until.cancelled().await });
        told.cancel();
        tasks.spawn("other", &other, async {});
        assert_eq!(tasks.ended().await, "the other ended by itself");
    }
}
