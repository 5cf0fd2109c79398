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
        /// Of these, connections that were closed at once, because their address has too many or too many new ones.
        connections_limited: Counter,
        /// CONNECT packets.
        connects: Counter,
        /// Bytes of the packets that were read.
        bytes_received: Counter,
        /// Bytes of the packets that were written.
        bytes_sent: Counter,
        /// Packets of any type that were read.
        packets_received: Counter,
        /// Packets of any type that were written.
        packets_sent: Counter,
        /// PUBLISH packets that were read, repetitions too.
        publishes_received: Counter,
        /// PUBLISH packets that were written.
        publishes_sent: Counter,
        /// Bytes of the payloads of those that were read.
        payload_bytes_received: Counter,
        /// Bytes of the payloads of those that were written.
        payload_bytes_sent: Counter,
        /// CONNECTs refused because of who their client is: user name, password, or a client identifier of another user.
        logins_refused: Counter,
        /// PUBLISH packets of devices, first deliveries only.
        received: Counter,
        /// Messages published to a topic that their device may not write.
        acl_denied: Counter,
        /// TLS handshakes that were completed.
        tls_handshakes: Counter,
        /// TLS handshakes of devices without a certificate, where they need one.
        tls_without_certificate: Counter,
        /// TLS handshakes of devices whose certificate is not good: expired, revoked, of an unknown CA, without a name.
        tls_bad_certificates: Counter,
        /// TLS handshakes of devices that do not accept the certificate of the gateway.
        tls_distrusted: Counter,
        /// TLS handshakes of devices that have no version, cipher, curve or protocol in common with the gateway.
        tls_incompatible: Counter,
        /// Connections to a listener with TLS that spoke something else.
        tls_not_tls: Counter,
        /// TLS handshakes that were not done within the handshake timeout.
        tls_late: Counter,
        /// TLS handshakes that the device ended, or that broke.
        tls_broken_off: Counter,
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
