//! Another client under our client id: what follows, and what is told.

use std::time::Duration;

use tokio::time::Instant;

use super::Client;
use crate::egress::link_error::LinkError;
use crate::egress::rivals::Sign;
use crate::egress::transport::Dial;
use crate::mqtt::Reason;

/// A connection that the server closes sooner than this may have met another one.
const SOON: Duration = Duration::from_secs(10);

// === impl Client ===

impl<D: Dial> Client<D> {
    /// A connection that was made has ended.
    pub(super) fn look_for_rivals(&mut self, error: &LinkError, lasted: Duration) {
        let now = Instant::now();
        let sign = match error {
            LinkError::Disconnected { reason: Reason::SESSION_TAKEN_OVER, .. } => {
                // Its packet ids are those of another client from now on.
                self.round.set_home(None);
                self.reporter.taken_over();
                self.rivals.taken_over(now)
            }
            LinkError::Closed | LinkError::Io(_) if lasted < SOON => {
                let sign = self.rivals.closed_early(now);
                if self.rivals.is_suspected() && self.sender.inflight.is_empty() {
                    self.round.set_home(None);
                }
                sign
            }
            _ => {
                self.rivals.other_end();
                None
            }
        };
        sign.into_iter().for_each(|sign| self.tell_rival(sign));
    }

    fn tell_rival(&self, sign: Sign) {
        let (upstream, client_id) = (&self.sender.upstream, &self.upstream.spec.client_id);
        match sign {
            Sign::TakenOver(times) => tracing::error!(
                upstream,
                client_id,
                times,
                "another client uses our client id, and the two end each other again and again: give each gateway its own `id` under \
                 [gateway], or its own `client_id`"
            ),
            Sign::Closed(times) => tracing::warn!(
                upstream,
                client_id,
                times,
                "the upstream closes each connection within seconds of letting us in. If another client uses our client id (a copied \
                 card or configuration), give each its own; if not, the server's log may say what it does not like"
            ),
        }
    }
}
