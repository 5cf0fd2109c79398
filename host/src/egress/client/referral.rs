//! A server that says where else to go (MQTT 5, section 4.11): 0x9C "Use another server", 0x9D "Server moved", with a Server Reference.
//!
//! It is followed **once**: one connection is tried there, whose own reference is not followed. After it the addresses of the configuration are
//! next, so that a wrong reference costs one attempt and not the upstream. Credentials go there as they would have gone here: over TLS, when
//! the url says so, with the name that the reference gives, or with `server_name`: who has set it has said whom to trust.
//!
//! The session is that of another server. It is gone on with when it is the one that the spool remembers, which is so where a server always
//! sends us to the same other one.

use tokio::time::Instant;

use super::{Client, rivalry};
use crate::config::Address;
use crate::egress::link_error::LinkError;
use crate::egress::prepare::Endpoint;
use crate::egress::transport::Dial;

/// Where to connect to now.
pub(super) struct Destination {
    pub endpoint: Endpoint,
    /// When a server has sent us there.
    pub referral: Option<Referral>,
}

/// What has to be known when it is over.
#[derive(Clone, Copy)]
pub(super) struct Referral {
    /// Where our session was among the addresses of the configuration.
    home: Option<usize>,
}

// === impl Client ===

impl<D: Dial> Client<D> {
    /// `None` when the configuration has no address.
    pub(super) fn destination(&mut self) -> Option<Destination> {
        let Some(endpoint) = self.referral.take() else {
            let endpoint = self.upstream.endpoints.get(self.round.at()).cloned()?;
            return Some(Destination { endpoint, referral: None });
        };
        let referral = Some(Referral { home: self.round.home() });
        let is_home = self.is_remembered_at(&endpoint);
        self.round.set_home(is_home.then_some(self.round.at()));
        Some(Destination { endpoint, referral })
    }

    /// Nothing was begun there, and our session is where it was.
    pub(super) fn not_let_in(&mut self, Referral { home }: Referral) {
        let is_careful = self.rivals.is_careful(Instant::now());
        self.round.set_home(home.filter(|_| !is_careful));
    }

    /// The address of the configuration is another server, and our session is not there; nor is it any longer where it was when it was lost.
    pub(super) fn leave_referral(&mut self) {
        if self.round.home().is_none() {
            self.remembered = None;
        }
        self.round.set_home(None);
    }

    /// Whether the server has named another one, which is tried next.
    pub(super) fn is_referred(&mut self, error: &LinkError, from: &Endpoint) -> bool {
        // Who was sent here is not sent on.
        let is_configured = self.upstream.endpoints.iter().any(|endpoint| endpoint.to_string() == from.to_string());
        let reference = error.reference().filter(|_| is_configured);
        self.referral = reference
            .and_then(|reference| address(reference, from.address.tls))
            .and_then(|address| self.upstream.at(address));
        self.referral.is_some()
    }

    /// Whether our session is at this server, to which we were sent.
    fn is_remembered_at(&self, endpoint: &Endpoint) -> bool {
        let is_ours = self.remembered.as_ref().is_some_and(|session| {
            session.client_id == self.upstream.spec.client_id && rivalry::url_of(session) == endpoint.to_string()
        });
        let is_good = !self.upstream.is_session_foreign && !self.sender.inflight.has_unreleased();
        is_ours && is_good && !self.rivals.is_careful(Instant::now())
    }
}

/// The first one of the list: a name or a number, with a port or without.
fn address(reference: &str, tls: bool) -> Option<Address> {
    let first = reference.split_whitespace().next()?;
    let default = if tls { 8883 } else { 1883 };
    let (host, port) = match first.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, port.strip_prefix(':'))
        }
        None => first.split_once(':').map_or((first, None), |(host, port)| (host, Some(port))),
    };
    let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':' | '_');
    let port = port.map_or(Some(default), |port| port.parse().ok()).filter(|port| *port > 0)?;
    let is_good = !host.is_empty() && host.len() <= 253 && host.chars().all(is_host);
    is_good.then(|| Address { host: host.to_owned(), port, tls })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_a_host_with_or_without_a_port_and_the_first_of_several() {
        let of = |reference| address(reference, false).map(|address| (address.host, address.port));
        let good = |host: &str, port| Some((host.to_owned(), port));
        assert_eq!(of("other.example"), good("other.example", 1883));
        assert_eq!(of("10.10.151.22:8883 [fe80::9610:3eff:fe1c]:1883"), good("10.10.151.22", 8883));
        assert_eq!(of("[fe80::9610:3eff:fe1c]:1884"), good("fe80::9610:3eff:fe1c", 1884));
        assert_eq!(of("[fe80::1]"), good("fe80::1", 1883));
        assert_eq!(address("other.example", true).map(|address| address.port), Some(8883));
        for bad in ["", " ", ":1883", "a:0", "a:x", "a:70000", "[::1", "a/b", "a\u{9b}", "user@host"] {
            assert_eq!(of(bad), None, "{bad:?}");
        }
    }
}
