//! Everything about an upstream that can be wrong before a socket is opened: files, names, keys.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::secret::Secret;
use super::tls::{self, TlsError};
use crate::control::config;

/// An upstream that is ready to be connected to.
#[derive(Clone)]
pub struct Prepared {
    pub(super) spec: config::Upstream,
    pub(super) password: Option<Secret>,
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
    let tls = spec.tls.as_ref().map(|tls| prepare_tls(spec, tls)).transpose()?;
    Ok(Prepared { spec: spec.clone(), password, tls })
}

fn prepare_tls(spec: &config::Upstream, tls: &config::Tls) -> Result<Tls, Error> {
    let config = tls::client_config(tls).map_err(|source| Error::Tls { upstream: spec.name.clone(), source })?;
    let name = ServerName::try_from(spec.host.clone())
        .map_err(|_| Error::ServerName { upstream: spec.name.clone(), host: spec.host.clone() })?;
    Ok(Tls { config, name })
}

#[cfg(test)]
mod tests;
