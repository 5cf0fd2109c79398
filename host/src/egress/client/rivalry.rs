//! Another client under our client id: what follows, what is told, and what the next process must know.

use std::time::Duration;

use tokio::time::Instant;

use super::Client;
use crate::egress::link_error::LinkError;
use crate::egress::mqtt::UpstreamSession;
use crate::egress::prepare::Endpoint;
use crate::egress::rivals::Sign;
use crate::egress::transport::Dial;
use crate::mqtt::Reason;

/// A connection that the server closes sooner than this may have met another one.
const SOON: Duration = Duration::from_secs(10);

/// Ten times the first wait of another gateway ([`Backoff`](crate::egress::backoff::Backoff)).
const QUIET: Duration = Duration::from_secs(2);

/// The other one connects over a line like ours.
const CONNECTS: u32 = 3;

/// How long the disk may take to write that a session is in doubt, before the next connection is made all the same.
const DISK: Duration = Duration::from_secs(1);

/// Stands before the url of a session that another client may have taken over. No url begins so, so that a version of before begins a new session.
const IN_DOUBT: char = '?';

/// The same before one in which the server may hold packet ids: it is gone on with, and left as soon as nothing is open in it.
const SPOILT: char = '!';

/// How long nothing is said, after a connection that took so long to be made.
pub(super) fn quiet(connecting: Duration, keep_alive: Duration) -> Duration {
    (QUIET + connecting * CONNECTS).min(keep_alive)
}

pub(super) fn is_in_doubt(session: &UpstreamSession) -> bool {
    session.url.starts_with(IN_DOUBT)
}

pub(super) fn is_spoilt(session: &UpstreamSession) -> bool {
    session.url.trim_start_matches(IN_DOUBT).starts_with(SPOILT)
}

/// Without the marks.
pub(super) fn url_of(session: &UpstreamSession) -> &str {
    session.url.trim_start_matches([IN_DOUBT, SPOILT])
}

// === impl Client ===

impl<D: Dial> Client<D> {
    /// Whether the next connection begins with silence. Not at one that will be cleared in any case.
    pub(super) fn listens(&self) -> bool {
        let spec = &self.upstream.spec;
        let is_known = self.remembered.as_ref().is_some_and(|session| session.client_id == spec.client_id);
        let is_home = self.round.home() == Some(self.round.at());
        let in_doubt = is_home && self.rivals.must_listen(self.sender.inflight.has_exactly_once());
        (in_doubt || !is_known) && !self.rivals.is_careful(Instant::now())
    }

    /// A connection was not made. Whether that may be because of another client.
    pub(super) fn has_met_rival(&mut self, error: &LinkError) -> bool {
        let is_certain = match error {
            LinkError::Contested => self.rivals.closed_silent(),
            LinkError::Disconnected { reason, .. } if *reason == Reason::SESSION_TAKEN_OVER => true,
            _ => return false,
        };
        if is_certain {
            let sign = self.met_rival();
            sign.into_iter().for_each(|sign| self.tell_rival(sign));
        }
        true
    }

    /// For certain. The packet ids of the session are those of another client from now on.
    fn met_rival(&mut self) -> Option<Sign> {
        self.round.set_home(None);
        self.reporter.taken_over();
        self.rivals.taken_over(Instant::now())
    }

    /// Before the next connection, so that the next process does not go on with a session that this one would not go on with.
    pub(super) async fn remember_doubt(&mut self) {
        let Some(session) = self.remembered.clone().filter(|session| !session.url.is_empty()) else { return };
        let inflight = &self.sender.inflight;
        let in_doubt = self.rivals.must_listen(inflight.has_exactly_once()).then_some(IN_DOUBT);
        let spoilt = inflight.has_unreleased().then_some(SPOILT);
        let url = match self.round.home() {
            // The session that is remembered may be at an address that the configuration does not have at present.
            None if self.rivals.is_careful(Instant::now()) => String::new(),
            Some(_) if in_doubt.or(spoilt).is_some() => {
                in_doubt.into_iter().chain(spoilt).chain(url_of(&session).chars()).collect()
            }
            _ => return,
        };
        let doubtful = UpstreamSession { url, ..session };
        if self.remembered.as_ref() != Some(&doubtful) {
            let state = doubtful.encode();
            let durable = self.sender.queue.remember(&state, false);
            if tokio::time::timeout(DISK, durable).await == Ok(true) {
                self.remembered = Some(doubtful);
            }
        }
    }

    /// A session that may be taken over any moment is not one for the next process.
    pub(super) fn url_to_remember(&self, endpoint: &Endpoint, is_kept: bool) -> String {
        match is_kept && self.sender.inflight.has_unreleased() {
            _ if self.rivals.is_careful(Instant::now()) => String::new(),
            true => format!("{SPOILT}{endpoint}"),
            false => endpoint.to_string(),
        }
    }

    /// A connection that was made has ended.
    pub(super) fn look_for_rivals(&mut self, error: &LinkError, lasted: Duration) {
        let now = Instant::now();
        if error.is_close() {
            self.rivals.closed();
        }
        if self.rivals.is_careful(now) {
            self.round.set_home(None);
        }
        let sign = match error {
            LinkError::Disconnected { reason: Reason::SESSION_TAKEN_OVER, .. } => self.met_rival(),
            LinkError::Closed | LinkError::Io(_) if lasted < SOON => {
                let sign = self.rivals.closed_early(now);
                // With subscriptions it is not ours alone: what waits for us there would go with it.
                let is_empty = self.sender.inflight.is_empty() && self.sender.subscriber.is_none();
                if self.rivals.is_suspected() && is_empty {
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
