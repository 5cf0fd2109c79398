//! Certificate revocation lists: what they are read from, and until when they are fresh.

use std::path::{Path, PathBuf};

use rustls::CertRevocationListError;
use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::{self, PemObject};
use x509_cert::crl::CertificateList;
use x509_cert::der::Decode as _;

use super::certificate::seconds;

/// The first byte of what is written in DER.
const SEQUENCE: u8 = 0x30;

#[derive(Debug, thiserror::Error)]
pub enum RevocationError {
    #[error("cannot read `{path}`: {source}")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("cannot read `{path}` as PEM: {source}; it must hold one `X509 CRL` section or more")]
    Pem { path: PathBuf, source: pem::Error },
    #[error("`{path}` holds no revocation list; it must hold a PEM `X509 CRL` section, or one list in DER")]
    Empty { path: PathBuf },
}

/// One at least, in PEM form or, as many CAs publish them, one in DER.
pub fn lists(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, RevocationError> {
    let path = path.to_owned();
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(source) => return Err(RevocationError::Unreadable { path, source }),
    };
    if bytes.first() == Some(&SEQUENCE) {
        return Ok(vec![bytes.into()]);
    }
    match CertificateRevocationListDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>() {
        Ok(lists) if lists.is_empty() => Err(RevocationError::Empty { path }),
        Ok(lists) => Ok(lists),
        Err(source) => Err(RevocationError::Pem { path, source }),
    }
}

/// Seconds since the Unix epoch, when the CA promises a newer one.
pub fn next_update(list: &CertificateRevocationListDer<'_>) -> Option<u64> {
    let list = CertificateList::<x509_cert::certificate::Rfc5280>::from_der(list).ok()?;
    list.tbs_cert_list.next_update.map(seconds)
}

/// Why a list cannot be used, and how to make one that can.
pub fn explain(error: &CertRevocationListError) -> String {
    match error {
        CertRevocationListError::UnsupportedCrlVersion => {
            "it is of version 1; make one of version 2: `crlnumber` and `default_crl_days` in the configuration of `openssl ca -gencrl`".into()
        }
        CertRevocationListError::UnsupportedDeltaCrl => "it is a delta list; give the complete one".into(),
        CertRevocationListError::UnsupportedIndirectCrl => {
            "it is an indirect list, for certificates of other CAs; give the list of each CA".into()
        }
        CertRevocationListError::ParseError => "it cannot be read as a revocation list".into(),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_tests::tls::Authority;

    #[test]
    fn lists_are_read_in_pem_and_in_der_and_tell_until_when_they_are_fresh() {
        let folder = tempfile::tempdir().unwrap();
        let (authority, path) = (Authority::new("ca"), folder.path().join("crl"));
        let pem = authority.revoke(&[7], 30) + &authority.revoke(&[8], 30);
        std::fs::write(&path, pem).unwrap();
        let both = lists(&path).unwrap();
        assert_eq!(both.len(), 2);
        let in_30_days = crate::base::clock::unix_ms() / 1_000 + 30 * 86_400;
        assert!(next_update(&both[0]).unwrap().abs_diff(in_30_days) < 60);
        std::fs::write(&path, &both[0]).unwrap();
        assert_eq!(lists(&path).unwrap(), both[..1]);
    }

    #[test]
    fn a_file_without_a_list_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("crl");
        for (text, says) in [(None, "cannot read"), (Some("no PEM"), "holds no revocation list")] {
            text.into_iter().for_each(|text| std::fs::write(&path, text).unwrap());
            let error = lists(&path).unwrap_err().to_string();
            assert!(error.contains(says) && error.contains("crl"), "{error}");
        }
    }
}
