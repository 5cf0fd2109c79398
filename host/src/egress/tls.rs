//! TLS towards an upstream: rustls with ring, the system's roots or a CA file, a client certificate if there is one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};

use crate::config::Tls;

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read `{path}` as PEM: {source}; it must hold {wanted}")]
    Pem { path: PathBuf, wanted: &'static str, source: pem::Error },
    #[error("`{path}` holds no certificate; it must hold a PEM `CERTIFICATE` section")]
    Empty { path: PathBuf },
    #[error("no trusted root certificates on this system; install `ca-certificates`, or set `ca` to a CA file")]
    NoRoots,
    #[error("a client certificate needs both `cert` and `key`")]
    HalfPair,
    #[error("a certificate of `{path}` is not usable: {source}")]
    Certificate { path: PathBuf, source: rustls::Error },
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
            let pair = pair(&provider, cert, key)?;
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(pair)))
        }
        _ => return Err(TlsError::HalfPair),
    };
    Ok(Arc::new(config))
}

/// A certificate that rustls cannot look into, of X.509 version 1 for example, is shown all the same: whether it is good is for the
/// server to say. One that the key does not belong to is a mistake in any case.
fn pair(provider: &CryptoProvider, cert: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let error = |path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::Certificate { path, source }
    };
    let chain = certificates(cert)?;
    let key = provider.key_provider.load_private_key(private_key(key)?).map_err(error(key))?;
    let pair = CertifiedKey::new(chain, key);
    match pair.keys_match() {
        Err(rustls::Error::InvalidCertificate(why)) => {
            let path = cert.display();
            tracing::warn!(%path, "this certificate cannot be checked against its key, and is used as it is: {why:?}");
            Ok(pair)
        }
        Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) | Ok(()) => Ok(pair),
        Err(source) => Err(error(cert)(source)),
    }
}

fn roots_of(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|source| TlsError::Certificate { path: path.into(), source })?;
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

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wanted = "one `CERTIFICATE` section or more";
    let error = |source| TlsError::Pem { path: path.into(), wanted, source };
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(path).map_err(error)?.collect::<Result<_, _>>().map_err(error)?;
    if certificates.is_empty() { Err(TlsError::Empty { path: path.into() }) } else { Ok(certificates) }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let wanted = "a `PRIVATE KEY` section without a passphrase";
    PrivateKeyDer::from_pem_file(path).map_err(|source| TlsError::Pem { path: path.into(), wanted, source })
}
