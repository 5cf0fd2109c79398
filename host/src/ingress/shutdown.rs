//! How the connections of a listener are told to leave: the gateway stops, or the listener has been taken away from them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;

use super::session::Violation;
use crate::mqtt::Reason;

/// Cloning gives another handle of the same.
#[derive(Clone, Debug)]
pub struct Shutdown {
    token: CancellationToken,
    is_withdrawn: Arc<AtomicBool>,
}

// === impl Shutdown ===

impl Shutdown {
    /// Of some connections among those that end with `gateway`.
    pub fn below(gateway: &CancellationToken) -> Self {
        gateway.child_token().into()
    }

    /// An operator has changed the configuration, and these connections are not of it any more.
    pub fn withdraw(&self) {
        self.is_withdrawn.store(true, Ordering::Release);
        self.token.cancel();
    }

    pub async fn cancelled(&self) {
        self.token.cancelled().await;
    }

    /// None when it comes first.
    pub async fn run_until_cancelled<F: Future>(&self, task: F) -> Option<F::Output> {
        self.token.run_until_cancelled(task).await
    }

    /// Why, for the device.
    pub(super) fn violation(&self) -> Violation {
        match self.is_withdrawn.load(Ordering::Acquire) {
            // Not "server shutting down", after which a client may well look for another server.
            true => Violation {
                reason: Reason::ADMINISTRATIVE_ACTION,
                detail: "the listener was changed or taken away by a reload of the configuration",
            },
            false => Violation { reason: Reason::SERVER_SHUTTING_DOWN, detail: "the gateway stops" },
        }
    }
}

impl From<CancellationToken> for Shutdown {
    fn from(token: CancellationToken) -> Self {
        Self { token, is_withdrawn: Arc::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn devices_are_told_which_of_the_two_it_is() {
        let gateway = CancellationToken::new();
        let (withdrawn, stays) = (Shutdown::below(&gateway), Shutdown::below(&gateway));
        withdrawn.withdraw();
        withdrawn.cancelled().await;
        assert_eq!(withdrawn.violation().reason, Reason::ADMINISTRATIVE_ACTION);
        assert_eq!(stays.run_until_cancelled(async { 1 }).await, Some(1), "another listener");
        gateway.cancel();
        assert_eq!(stays.run_until_cancelled(std::future::pending::<()>()).await, None);
        assert_eq!(stays.violation().reason, Reason::SERVER_SHUTTING_DOWN);
    }
}
