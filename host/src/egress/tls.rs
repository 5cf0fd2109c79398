//! TLS towards an upstream: rustls with ring, the system's roots or a CA file, a client certificate if there is one.

use std::path::Path;
use std::sync::Arc;

use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};

use crate::config::Tls;
use crate::tls::files::{self, FileError};

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("no trusted root certificates on this system; install `ca-certificates`, or set `ca` to a CA file")]
    NoRoots,
    #[error("a client certificate needs both `cert` and `key`")]
    HalfPair,
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}

/// Never the process default provider: a library must not depend on who installed one.
pub fn client_config(tls: &Tls) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = match &tls.ca {
        Some(path) => roots_of(path)?,
        None => system_roots()?,
    };
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let config = match (&tls.cert, &tls.key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(cert), Some(key)) => {
            let pair = files::certified_key(&provider, cert, key)?;
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(pair)))
        }
        _ => return Err(TlsError::HalfPair),
    };
    Ok(Arc::new(config))
}

fn roots_of(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in files::certificates(path)? {
        roots.add(certificate).map_err(|source| FileError::Certificate { path: path.into(), source })?;
    }
    Ok(roots)
}

/// Edge systems have roots and update them; a set compiled in would grow old with the binary.
fn system_roots() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!("reading the system's root certificates: {error}");
    }
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 { Err(TlsError::NoRoots) } else { Ok(roots) }
}
