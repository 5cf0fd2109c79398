//! Of one listener: counted where it accepts, and by its connections.

use std::sync::Arc;

use super::define::metrics;

metrics! {
    /// The devices that came through one listener, and what they sent.
    ListenerMetrics, "tidegate_listener" {
        /// Connections that are open.
        connections: Gauge,
        /// Connections accepted.
        connections_accepted: Counter,
        /// Connections refused or ended by a cap or a protocol error.
        connections_refused: Counter,
        /// CONNECTs refused because of who their client is: user name, password, or a client identifier of another user.
        logins_refused: Counter,
        /// PUBLISH packets of devices, first deliveries only.
        received: Counter,
        /// Messages published to a topic that their device may not write.
        acl_denied: Counter,
    }
}

/// One connection, counted as open for as long as this is there.
pub struct OpenConnection(Arc<ListenerMetrics>);

// === impl OpenConnection ===

impl OpenConnection {
    pub fn count(of: Arc<ListenerMetrics>) -> Self {
        of.connections_accepted.increment();
        of.connections.increment();
        Self(of)
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.decrement();
    }
}
