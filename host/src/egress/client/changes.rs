//! A connection was made, was not made, or ended: what is told, and what is tried next.

use std::time::Duration;

use tokio::time::Instant;

use super::Client;
use crate::base::clock;
use crate::base::utc::Utc;
use crate::egress::failback;
use crate::egress::link::Link;
use crate::egress::link_error::LinkError;
use crate::egress::prepare::Endpoint;
use crate::egress::round::Ended;
use crate::egress::transport::Dial;
use crate::egress::troubles::News;

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
        self.sender.elsewhere.connected(self.round.at(), link.terms.maximum_packet_size);
        if self.terms.as_ref() != Some(&link.terms) {
            link.terms.warn(upstream);
            self.terms = Some(link.terms.clone());
        }
        self.reporter.connected(endpoint.to_string());
    }

    /// The first address has proved good: it is looked for as often as configured again.
    fn forget_failback(&mut self) {
        if self.round.at() == 0 {
            self.failback = self.upstream.spec.failback;
        }
    }

    /// The next address is tried at once; a wait comes when all were.
    pub(super) fn not_connected(&mut self, error: &LinkError, endpoint: &Endpoint) -> Duration {
        self.failed(error, endpoint);
        self.sender.elsewhere.not_connected(self.round.at());
        if self.has_met_rival(error) {
            // Soon: so the other one meets us, too, before it goes on.
            self.backoff.reset();
            return self.backoff.wait();
        }
        self.rivals.other_end();
        if self.is_referred(error, endpoint) {
            return Duration::ZERO;
        }
        if self.round.failed() { Duration::ZERO } else { self.wait(error) }
    }

    pub(super) fn broke(&mut self, error: &LinkError, endpoint: &Endpoint, lasted: Duration) -> Duration {
        let ended = self.ended(error, lasted);
        if ended == Ended::Stable {
            // The next trouble is news, whatever the last one was.
            self.troubles.over();
            self.rivals.lasted();
            self.forget_failback();
            self.backoff.reset();
        }
        if ended == Ended::WithoutProgress {
            self.sender.acks.stalled = true;
            self.sender.elsewhere.without_progress(self.round.at());
        }
        self.failed(error, endpoint);
        self.look_for_rivals(error, lasted);
        let is_found = self.sender.ended(error);
        if is_found {
            self.backoff.reset();
        }
        self.reporter.trouble(self.sender.trouble());
        self.round.broke(ended);
        self.is_referred(error, endpoint);
        // What a person has to change may be the one message.
        if is_found || self.sender.isolation.is_alone() { self.backoff.wait() } else { self.wait(error) }
    }

    fn ended(&self, error: &LinkError, lasted: Duration) -> Ended {
        match error {
            LinkError::NotAcknowledged { .. } | LinkError::NotProven { .. } if !self.sender.acks.progress => {
                Ended::WithoutProgress
            }
            // However long it lasted: what was sent, and none of it taken, is no good connection.
            _ if !self.sender.acks.progress && !self.sender.inflight.is_empty() => Ended::Early,
            _ if lasted >= STABLE => Ended::Stable,
            _ => Ended::Early,
        }
    }

    pub(super) fn go_back(&mut self) -> Duration {
        tracing::info!(upstream = self.sender.upstream, "the first address answers again: going back to it");
        self.reporter.disconnected(None);
        self.round.go_to(0);
        // Until it has proved good: one that lets us in and takes nothing is asked less and less often.
        self.failback = failback::longer(self.failback);
        Duration::ZERO
    }

    /// Where a message is taken that is too large here.
    pub(super) fn go_to(&mut self, at: usize) -> Duration {
        let url = self.upstream.endpoints.get(at).map(tracing::field::display);
        tracing::info!(upstream = self.sender.upstream, url, "going to an address that takes what is too large here");
        self.reporter.disconnected(None);
        self.round.go_to(at);
        Duration::ZERO
    }

    /// Nothing is open, so that nothing can arrive twice.
    pub(super) fn renew(&mut self) -> Duration {
        let upstream = &self.sender.upstream;
        tracing::info!(
            upstream,
            "a new session begins: the upstream may hold packet ids of messages that it did not complete"
        );
        self.reporter.disconnected(None);
        self.round.set_home(None);
        self.round.go_to(self.round.at());
        Duration::ZERO
    }

    fn wait(&mut self, error: &LinkError) -> Duration {
        if error.needs_attention() { self.backoff.wait_long() } else { self.backoff.wait() }
    }

    fn failed(&mut self, error: &LinkError, endpoint: &Endpoint) {
        let (upstream, at, text) = (&self.sender.upstream, self.round.at(), error.to_string());
        let url = tracing::field::display(endpoint);
        match self.troubles.happened(at, error.kind(), Instant::now()) {
            Some(News { lasts, left_out }) if lasts > Duration::ZERO => {
                let (waiting, since) = (self.sender.queue.len(), ago(lasts));
                tracing::warn!(upstream, url, waiting, %since, left_out, "{text}; trying again until it works");
            }
            Some(News { left_out, .. }) => {
                let waiting = self.sender.queue.len();
                tracing::warn!(upstream, url, waiting, left_out, "{text}; trying again until it works");
            }
            None => tracing::debug!(upstream, url, "{text}"),
        }
        self.reporter.disconnected(Some(text));
    }
}

/// By the clock of now.
fn ago(lasts: Duration) -> Utc {
    Utc((clock::unix_ms() / 1000).saturating_sub(lasts.as_secs()))
}
