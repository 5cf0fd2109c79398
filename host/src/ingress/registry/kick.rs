//! How a connection is asked to leave its session.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

#[derive(Debug, Default)]
pub struct Kick {
    asked: Notify,
    is_dropped: AtomicBool,
    is_revoked: AtomicBool,
}

// === impl Kick ===

impl Kick {
    /// Another connection of the same client wants the session.
    pub(super) fn hand_over(&self) {
        self.asked.notify_one();
    }

    /// An operator wants the session to end.
    pub(super) fn drop_session(&self) {
        self.is_dropped.store(true, Ordering::Relaxed);
        self.asked.notify_one();
    }

    /// Its user is not who it was when it connected.
    pub(super) fn revoke(&self) {
        self.is_revoked.store(true, Ordering::Relaxed);
        self.asked.notify_one();
    }

    pub fn is_revoked(&self) -> bool {
        self.is_revoked.load(Ordering::Relaxed)
    }

    /// Whether the session ends with its connection, whatever was agreed.
    pub fn is_dropped(&self) -> bool {
        self.is_dropped.load(Ordering::Relaxed)
    }

    /// Returns when the connection is asked to leave.
    pub async fn notified(&self) {
        self.asked.notified().await;
    }
}
