//! TLS towards an upstream: rustls with ring. Who is trusted there: those whom a CA of the system or of `ca` has signed, for the name that we
//! look for, and whom `crl` does not name ([`revocation`]); or certificates that are pinned ([`pinned`]). And a client certificate if there is
//! one. [`current`] has what is in use, and reads it again when files change.

mod current;
mod dates;
mod pinned;
mod revocation;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{VerifierBuilderError, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};

pub use self::current::Current;
pub use self::pinned::NotPinned;
use crate::base::secret::Secret;
use crate::config::Tls;
use crate::tls::files::{self, FileError, Found};

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("no trusted root certificates on this system; install `ca-certificates`, or set `ca` to a CA file")]
    NoRoots,
    #[error("a client certificate needs both `cert` and `key`")]
    HalfPair,
    #[error("a revocation list of `{path}` cannot be used: {why}")]
    Revocation { path: PathBuf, why: String },
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}

impl TlsError {
    fn revocation(path: &Path, error: &VerifierBuilderError) -> Self {
        let why = match error {
            VerifierBuilderError::InvalidCrl(why) => crate::tls::revocation::explain(why),
            other => other.to_string(),
        };
        Self::Revocation { path: path.into(), why }
    }
}

/// Never the process default provider: a library must not depend on who installed one.
pub fn client_config(tls: &Tls) -> Result<Found<Arc<ClientConfig>>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let Found { value: verifier, mut doubts } = verifier(tls, &provider)?;
    // Dangerous is what a verifier may leave out. None of ours leaves out the signature of the handshake.
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match (&tls.cert, &tls.key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(cert), Some(key)) => {
            let passphrase = tls.key_passphrase_file.as_deref().map(files::passphrase).transpose()?;
            let passphrase = passphrase.as_ref().map(Secret::bytes);
            let pair = files::pair(&provider, cert, key, passphrase)?;
            doubts.extend(pair.doubts);
            doubts.extend(pair.value.end_entity_cert().ok().and_then(|own| dates::doubt(cert, own)));
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(pair.value)))
        }
        _ => return Err(TlsError::HalfPair),
    };
    config.alpn_protocols = tls.alpn.iter().map(|protocol| protocol.clone().into_bytes()).collect();
    Ok(Found { value: Arc::new(config), doubts })
}

fn verifier(tls: &Tls, provider: &Arc<CryptoProvider>) -> Result<Found<Arc<dyn ServerCertVerifier>>, TlsError> {
    if !tls.pin_sha256.is_empty() {
        let pinned = pinned::Pinned::new(tls.pin_sha256.clone(), provider.signature_verification_algorithms);
        return Ok(Found { value: Arc::new(pinned), doubts: Vec::new() });
    }
    let Found { value: roots, mut doubts } = match &tls.ca {
        Some(path) => files::anchors(path)?,
        None => system_roots()?,
    };
    let roots = Arc::new(roots);
    let value: Arc<dyn ServerCertVerifier> = match &tls.crl {
        Some(path) => {
            let lists = files::revocation_lists(path)?;
            doubts.extend(lists.doubts);
            let verifier = revocation::verifier(&roots, provider, lists.value);
            Arc::new(verifier.map_err(|error| TlsError::revocation(path, &error))?)
        }
        None => {
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build();
            // Without roots, which was told before.
            verifier.map_err(|_| TlsError::NoRoots)?
        }
    };
    Ok(Found { value, doubts })
}

/// Edge systems have roots and update them; a set compiled in would grow old with the binary.
fn system_roots() -> Result<Found<RootCertStore>, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let doubts = found.errors.iter().map(|error| format!("reading the system's root certificates: {error}")).collect();
    let mut value = RootCertStore::empty();
    let (added, _) = value.add_parsable_certificates(found.certs);
    if added == 0 { Err(TlsError::NoRoots) } else { Ok(Found { value, doubts }) }
}

#[cfg(test)]
mod tests;
