//! Messages that were parked when their connection ended: they start all the same, in order, before those of the next one.
//!
//! A device that publishes at QoS 0 and leaves has done its part; a QoS 2 message has an identity that its session remembers,
//! so that it would never be accepted again. Only QoS 1 is dropped: its device has no ack and sends it once more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::bindings::Parked;

/// Bounded by the limit of [`Parked`] for all connections, which counts what is parked here as well.
#[derive(Default)]
pub struct Drains {
    /// By client: cancelled when the last message of its earlier connections has started.
    drained: Mutex<HashMap<Arc<str>, CancellationToken>>,
}

impl Drains {
    /// Takes over what a connection leaves behind.
    pub fn leave(self: &Arc<Self>, client: Arc<str>, mut parked: Parked) {
        parked.forget_resent();
        if parked.is_empty() {
            return;
        }
        let drained = CancellationToken::new();
        self.lock().insert(client.clone(), drained.clone());
        let drains = self.clone();
        // It owns all it touches and ends with the last message, or with the lanes when the gateway stops.
        tokio::spawn(async move {
            while !parked.is_empty() && parked.started().await.is_ok() {}
            drained.cancel();
            drains.lock().retain(|_, token| !token.is_cancelled());
        });
    }

    /// What a new connection of this client has to wait for before it starts messages of its own.
    pub fn barrier(&self, client: &str) -> Option<CancellationToken> {
        self.lock().get(client).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, CancellationToken>> {
        self.drained.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
