//! Certificates and keys, from files in PEM form.

use std::path::{Path, PathBuf};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

/// What is wrong with one of them, and what should be in it. Never what is in it: it may be a key.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("cannot read `{path}` as PEM: {source}; it must hold {wanted}")]
    Pem { path: PathBuf, wanted: &'static str, source: pem::Error },
    #[error("`{path}` holds no certificate; it must hold a PEM `CERTIFICATE` section")]
    Empty { path: PathBuf },
    #[error("a certificate of `{path}` is not usable: {source}")]
    Certificate { path: PathBuf, source: rustls::Error },
}

/// One at least.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let wanted = "one `CERTIFICATE` section or more";
    let error = |source| FileError::Pem { path: path.into(), wanted, source };
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(path).map_err(error)?.collect::<Result<_, _>>().map_err(error)?;
    if certificates.is_empty() { Err(FileError::Empty { path: path.into() }) } else { Ok(certificates) }
}

pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, FileError> {
    let wanted = "a `PRIVATE KEY` section without a passphrase";
    PrivateKeyDer::from_pem_file(path).map_err(|source| FileError::Pem { path: path.into(), wanted, source })
}

/// A certificate that rustls cannot look into, of X.509 version 1 for example, is shown all the same: whether it is good is for the other
/// side to say. One that the key does not belong to is a mistake in any case.
pub fn certified_key(provider: &CryptoProvider, cert: &Path, key: &Path) -> Result<CertifiedKey, FileError> {
    let error = |path: &Path| {
        let path = path.to_owned();
        move |source| FileError::Certificate { path, source }
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
