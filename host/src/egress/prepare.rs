//! Everything about an upstream that can be wrong before a socket is opened: files, names, keys.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::secret::Secret;
use super::tls::{self, TlsError};
use crate::config;

/// An upstream that is ready to be connected to.
#[derive(Clone)]
pub struct Prepared {
    pub(super) spec: config::Upstream,
    pub(super) password: Option<Secret>,
    /// One for each address of `spec`, in its order.
    pub(super) endpoints: Vec<Endpoint>,
    /// The session that the spool remembers may be used by somebody else.
    pub(super) is_session_foreign: bool,
}

/// A place to connect to.
#[derive(Clone)]
pub struct Endpoint {
    pub(super) address: config::Address,
    pub(super) tls: Option<Tls>,
}

#[derive(Clone)]
pub(super) struct Tls {
    pub config: Arc<ClientConfig>,
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

/// Reads the files that the upstream names. Done once, at the start, so that a wrong path is found then.
pub fn prepare(spec: &config::Upstream) -> Result<Prepared, Error> {
    let upstream = || spec.name.clone();
    let read = |path: &PathBuf| {
        Secret::read(path).map_err(|source| Error::Password { upstream: upstream(), path: path.clone(), source })
    };
    let password = spec.password_file.as_ref().map(read).transpose()?;
    let tls = spec.tls.as_ref().map(tls::client_config).transpose();
    let tls = tls.map_err(|source| Error::Tls { upstream: upstream(), source })?;
    let endpoint = |address: &config::Address| {
        let name = |config: &Arc<ClientConfig>| {
            let name = ServerName::try_from(address.host.clone());
            let name = name.map_err(|_| Error::ServerName { upstream: upstream(), host: address.host.clone() })?;
            Ok(Tls { config: config.clone(), name })
        };
        Ok(Endpoint { address: address.clone(), tls: tls.as_ref().map(name).transpose()? })
    };
    let endpoints = spec.addresses.iter().map(endpoint).collect::<Result<_, _>>()?;
    Ok(Prepared { spec: spec.clone(), password, endpoints, is_session_foreign: false })
}

// === impl Prepared ===

impl Prepared {
    /// In the order of preference.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
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
    /// Another one of the same upstream. `None` when TLS cannot work with such a host.
    pub(super) fn at(&self, address: config::Address) -> Option<Self> {
        let tls = match &self.tls {
            Some(tls) => {
                Some(Tls { config: tls.config.clone(), name: ServerName::try_from(address.host.clone()).ok()? })
            }
            None => None,
        };
        Some(Self { address, tls })
    }

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
