//! Looks for the first address while another one is in use.
//!
//! By a whole connection, CONNECT and all, because an open port is not yet a broker; and under another client id, because two
//! addresses may turn out to be one broker, which would then end the connection that works.

use std::time::Duration;

use super::link::{Identity, Link};
use super::link_error::LinkError;
use super::prepare::{Endpoint, Prepared};
use super::transport::Dial;

/// Added to the client id, so that a running gateway keeps its session.
const SUFFIX: &str = "-check";

/// A first address that answers and then does not take us is asked less and less often.
const LONGEST: Duration = Duration::from_secs(60 * 60);

pub struct Failback<'a, D> {
    pub dial: &'a D,
    pub upstream: &'a Prepared,
    /// `None` while it is the one in use.
    pub wanted: Option<&'a Endpoint>,
    pub every: Duration,
}

// === impl Failback ===

impl<D: Dial> Failback<'_, D> {
    /// Resolves when the first address answers.
    pub async fn found(&self) {
        let Some(endpoint) = self.wanted else { return std::future::pending().await };
        loop {
            tokio::time::sleep(self.every).await;
            match probe(self.dial, self.upstream, endpoint).await {
                // It may know one client id only, and not this one. Whether it takes us is found out by going there.
                Ok(()) | Err(LinkError::Refused { .. }) => return,
                Err(error) => tracing::debug!(upstream = self.upstream.spec.name, "still not there: {error}"),
            }
        }
    }
}

/// The wait after an attempt that was in vain.
pub fn longer(every: Duration) -> Duration {
    (every * 2).min(LONGEST.max(every))
}

/// Connects and says goodbye, under another client id and without leaving a session behind.
pub async fn probe(dial: &impl Dial, upstream: &Prepared, endpoint: &Endpoint) -> Result<(), LinkError> {
    let client_id = format!("{}{SUFFIX}", upstream.spec.client_id);
    let identity = Identity { client_id: &client_id, clean_start: true, session_expiry: Duration::ZERO };
    Link::open(dial, upstream, endpoint, identity).await?.close().await;
    Ok(())
}
