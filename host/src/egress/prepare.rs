//! Everything about an upstream that can be wrong before a socket is opened: files, names, keys.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;

use super::tls::{Current, TlsError};
use crate::base::secret::Secret;
use crate::config;
use crate::mqtt::client::MAX_INCOMING;

/// An upstream that is ready to be connected to.
#[derive(Clone)]
pub struct Prepared {
    pub(super) spec: config::Upstream,
    pub(super) password: Option<Secret>,
    /// One for each address of `spec`, in its order.
    pub(super) endpoints: Vec<Endpoint>,
    /// The session that the spool remembers may be used by somebody else.
    pub(super) is_session_foreign: bool,
    /// Bytes of the largest packet that it may send us.
    pub(super) max_incoming: usize,
    /// What works and should be looked at, as sentences.
    doubts: Vec<String>,
}

/// A place to connect to.
#[derive(Clone)]
pub struct Endpoint {
    pub(super) address: config::Address,
    pub(super) tls: Option<Tls>,
}

#[derive(Clone)]
pub(super) struct Tls {
    pub current: Arc<Current>,
    /// That the certificate has to have, and that the server is told.
    pub name: ServerName<'static>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("upstream `{upstream}`: cannot read the password file `{path}`: {source}")]
    Password { upstream: String, path: PathBuf, source: std::io::Error },
    #[error("upstream `{upstream}`: {source}")]
    Tls { upstream: String, source: TlsError },
    #[error("upstream `{upstream}`: `{host}` is neither a host name nor an address, as TLS needs it")]
    ServerName { upstream: String, host: String },
}

/// Reads the files that the upstream names. Done at the start, so that a wrong path is found then.
pub fn prepare(spec: &config::Upstream) -> Result<Prepared, Error> {
    let upstream = || spec.name.clone();
    let read = |path: &PathBuf| {
        Secret::read(path).map_err(|source| Error::Password { upstream: upstream(), path: path.clone(), source })
    };
    let password = spec.password_file.as_ref().map(read).transpose()?;
    let tls = spec.tls.as_ref().map(Current::read).transpose();
    let tls = tls.map_err(|source| Error::Tls { upstream: upstream(), source })?;
    let (tls, doubts) = tls.unzip();
    let name = tls_name(spec);
    let endpoint = |address: &config::Address| {
        let named = |current: &Arc<Current>| {
            let host = name.unwrap_or(&address.host);
            let name = ServerName::try_from(host.to_owned());
            let name = name.map_err(|_| Error::ServerName { upstream: upstream(), host: host.to_owned() })?;
            Ok(Tls { current: current.clone(), name })
        };
        Ok(Endpoint { address: address.clone(), tls: tls.as_ref().map(named).transpose()? })
    };
    let endpoints = spec.addresses.iter().map(endpoint).collect::<Result<_, _>>()?;
    let doubts = doubts.unwrap_or_default();
    let (is_session_foreign, max_incoming) = (false, MAX_INCOMING);
    Ok(Prepared { spec: spec.clone(), password, endpoints, is_session_foreign, max_incoming, doubts })
}

/// Holds wherever the upstream is, also where a server has sent us.
fn tls_name(spec: &config::Upstream) -> Option<&str> {
    spec.tls.as_ref()?.server_name.as_deref()
}

// === impl Prepared ===

impl Prepared {
    /// In the order of preference.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    pub fn name(&self) -> &str {
        &self.spec.name
    }

    pub fn doubts(&self) -> &[String] {
        &self.doubts
    }

    /// The TLS that all of its addresses share.
    pub(super) fn tls(&self) -> Option<&Arc<Current>> {
        self.endpoints.first()?.tls.as_ref().map(|tls| &tls.current)
    }

    /// Another place where this upstream is. `None` when TLS cannot work with such a host.
    pub(super) fn at(&self, address: config::Address) -> Option<Endpoint> {
        let tls = match self.tls() {
            Some(current) => {
                let name = tls_name(&self.spec).unwrap_or(&address.host).to_owned();
                Some(Tls { current: current.clone(), name: ServerName::try_from(name).ok()? })
            }
            None => None,
        };
        Some(Endpoint { address, tls })
    }

    /// With no more time than this to connect.
    pub(super) fn within(&self, limit: Duration) -> Self {
        let mut prepared = self.clone();
        prepared.spec.connect_timeout = prepared.spec.connect_timeout.min(limit);
        prepared
    }

    /// Under a name that no server knows.
    pub(super) fn for_nobody(mut self) -> Self {
        const NOBODY: &str = "tidegate-check-of-unknown-users";
        self.spec.username = Some(NOBODY.into());
        self.password = Some(Secret::of(NOBODY));
        self
    }

    /// For a spool that is a copy: the first connection begins a new session.
    pub fn without_session(self) -> Self {
        Self { is_session_foreign: true, ..self }
    }
}

// === impl Endpoint ===

impl Endpoint {
    #[cfg(test)]
    pub(crate) fn host(&self) -> &str {
        &self.address.host
    }
}

/// As a url.
impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.address.fmt(f)
    }
}

#[cfg(test)]
mod tests;
