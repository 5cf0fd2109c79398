//! A connection was made, was not made, or ended: what is told, and what is tried next.

use std::time::Duration;

use tokio::time::Instant;

use super::Client;
use crate::egress::failback;
use crate::egress::link::Link;
use crate::egress::link_error::LinkError;
use crate::egress::prepare::Endpoint;
use crate::egress::transport::Dial;

/// A connection that lasted this long was a good one.
const STABLE: Duration = Duration::from_secs(10);

// === impl Client ===

impl<D: Dial> Client<D> {
    pub(super) fn connected(&mut self, endpoint: &Endpoint, link: &Link) {
        let upstream = &self.sender.upstream;
        let session = if link.session_present { "kept" } else { "new" };
        if self.troubles.connected() {
            tracing::info!(upstream, url = %endpoint, session, waiting = self.sender.queue.len(), "connected");
        } else {
            tracing::debug!(upstream, url = %endpoint, session, "connected");
        }
        if self.terms.as_ref() != Some(&link.terms) {
            link.terms.warn(upstream);
            self.terms = Some(link.terms.clone());
        }
        self.reporter.connected(endpoint.to_string());
        if self.round.at() == 0 {
            self.failback = self.upstream.spec.failback;
        }
    }

    /// The next address is tried at once; a wait comes when all were.
    pub(super) fn not_connected(&mut self, error: &LinkError) -> Duration {
        self.failed(error);
        self.rivals.other_end();
        if self.round.failed() { Duration::ZERO } else { self.wait(error) }
    }

    pub(super) fn broke(&mut self, error: &LinkError, lasted: Duration) -> Duration {
        let was_stable = lasted >= STABLE;
        if was_stable {
            self.troubles.over();
        }
        self.failed(error);
        self.look_for_rivals(error, lasted);
        self.round.broke(was_stable);
        if was_stable {
            self.backoff.reset();
        }
        self.wait(error)
    }

    pub(super) fn go_back(&mut self) -> Duration {
        tracing::info!(upstream = self.sender.upstream, "the first address answers again: going back to it");
        self.reporter.disconnected(None);
        self.round.go_back();
        // Until it lets us in: then this is forgotten.
        self.failback = failback::longer(self.failback);
        Duration::ZERO
    }

    fn wait(&mut self, error: &LinkError) -> Duration {
        if error.needs_attention() { self.backoff.wait_long() } else { self.backoff.wait() }
    }

    fn failed(&mut self, error: &LinkError) {
        let (upstream, at, text) = (&self.sender.upstream, self.round.at(), error.to_string());
        let url = self.upstream.endpoints.get(at).map(tracing::field::display);
        match self.troubles.happened(at, error.kind(), Instant::now()) {
            Some(left_out) => {
                let waiting = self.sender.queue.len();
                tracing::warn!(upstream, url, waiting, left_out, "{text}; trying again until it works");
            }
            None => tracing::debug!(upstream, url, "{text}"),
        }
        self.reporter.disconnected(Some(text));
    }
}
