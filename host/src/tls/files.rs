//! Certificates, keys and revocation lists, from files in PEM form ([`super::pem`]).
//!
//! An error never says what is in a file: it may be a key. It says which section is meant, and what to type where openssl can mend it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls::sign::CertifiedKey;

use super::pem::{self, Section};
use super::private_key::private_key;
use super::{der, ec_key, revocation};
use crate::base::clock::unix_ms;
use crate::base::excerpt::Excerpt;
use crate::base::secret::Secret;
use crate::base::utc::Utc;

/// What is wrong with one of them, and what should be in it.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("cannot read `{path}`: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot read the file `{path}` of `key_passphrase_file`: {source}")]
    Passphrase { path: PathBuf, source: io::Error },
    #[error("`{path}` {what}")]
    Content { path: PathBuf, what: String },
    #[error("a certificate of `{path}` is not usable: {source}")]
    Certificate { path: PathBuf, source: rustls::Error },
    #[error(
        "the key in `{key}` does not belong to the certificate in `{cert}`: they have to be of one pair, and our own certificate the first in its file"
    )]
    Mismatch { cert: PathBuf, key: PathBuf },
}

/// What is used, and what an operator should know about it.
#[derive(Debug)]
pub struct Found<T> {
    pub value: T,
    pub doubts: Vec<String>,
}

/// The largest revocation lists have some 50 MB. More is another file.
const LARGEST: u64 = 128 * 1024 * 1024;

const LABELS: [&str; 3] = ["CERTIFICATE", "X509 CERTIFICATE", TRUSTED];
/// OpenSSL's own, with what it trusts the certificate for behind it.
const TRUSTED: &str = "TRUSTED CERTIFICATE";

/// One at least, all of them good: a chain with a gap is none.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let bytes = read(path)?;
    let sections = of_kind(&bytes, &LABELS);
    if sections.is_empty() {
        return Err(FileError::new(path, nothing(&bytes, "CERTIFICATE")));
    }
    let certificate = |(index, section): (usize, &Section)| {
        parse(section)
            .map_err(|why| FileError::new(path, format!("certificate {} (line {}): {why}", index + 1, section.line)))
    };
    sections.iter().enumerate().map(certificate).collect()
}

/// Those who are trusted to sign. One that cannot be used is told and left out: the others are as good as before.
pub fn anchors(path: &Path) -> Result<Found<RootCertStore>, FileError> {
    let bytes = read(path)?;
    let sections = of_kind(&bytes, &LABELS);
    if sections.is_empty() {
        return Err(FileError::new(path, nothing(&bytes, "CERTIFICATE")));
    }
    let (mut value, mut doubts) = (RootCertStore::empty(), Vec::new());
    for (index, section) in sections.iter().enumerate() {
        let added = parse(section).and_then(|anchor| value.add(anchor).map_err(|error| unusable(&error)));
        if let Err(why) = added {
            let (number, all, line, shown) = (index + 1, sections.len(), section.line, path.display());
            let subject = subject(section);
            doubts
                .push(format!("certificate {number} of {all} in `{shown}` (line {line}{subject}) is left out: {why}"));
        }
    }
    match value.is_empty() {
        true => Err(FileError::new(path, format!("holds no certificate that can be used: {}", doubts.join("; ")))),
        false => Ok(Found { value, doubts }),
    }
}

/// One at least, all of them good: without one of them, what it revokes would be let in. Or one in DER, as many CAs publish them.
pub fn revocation_lists(path: &Path) -> Result<Found<Vec<CertificateRevocationListDer<'static>>>, FileError> {
    let bytes = read(path)?;
    if pem::is_der(&bytes) {
        let value = vec![CertificateRevocationListDer::from(bytes)];
        return Ok(Found { doubts: overdue(path, &value), value });
    }
    let sections = of_kind(&bytes, &["X509 CRL"]);
    if sections.is_empty() {
        return Err(FileError::new(path, nothing(&bytes, "X509 CRL")));
    }
    let list = |(index, section): (usize, Section)| {
        let error =
            |fault| FileError::new(path, format!("revocation list {} (line {}): {fault}", index + 1, section.line));
        section.content.map(CertificateRevocationListDer::from).map_err(error)
    };
    let value: Vec<_> = sections.into_iter().enumerate().map(list).collect::<Result<_, _>>()?;
    Ok(Found { doubts: overdue(path, &value), value })
}

/// A certificate and its key. One that rustls cannot look into, of X.509 version 1 for example, is shown all the same: whether it is good is
/// for the other side to say. One that the key does not belong to is a mistake in any case.
pub fn pair(
    provider: &CryptoProvider,
    cert: &Path,
    key: &Path,
    passphrase: Option<&[u8]>,
) -> Result<Found<CertifiedKey>, FileError> {
    let chain = certificates(cert)?;
    let Found { value: private, mut doubts } = private_key(key, passphrase)?;
    let public = chain.first().and_then(|leaf| der::certificate(leaf)).map(|leaf| leaf.public_key);
    // ring wants the public part in the key, which some tools leave out; it stands in the certificate.
    let whole = public.and_then(|public| ec_key::completed(&private, public)).unwrap_or(private);
    let signer = provider.key_provider.load_private_key(whole).map_err(|_| FileError::new(key, UNKNOWN_KEY))?;
    let pair = CertifiedKey::new(chain, signer);
    match pair.keys_match() {
        Err(rustls::Error::InvalidCertificate(_)) => {
            let path = cert.display();
            doubts.push(format!("`{path}` cannot be checked against its key (X.509 version 1?), and is used as it is"));
        }
        Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) | Ok(()) => {}
        Err(rustls::Error::InconsistentKeys(_)) => {
            return Err(FileError::Mismatch { cert: cert.into(), key: key.into() });
        }
        Err(source) => return Err(FileError::Certificate { path: cert.into(), source }),
    }
    Ok(Found { value: pair, doubts })
}

/// What opens a key.
pub fn passphrase(path: &Path) -> Result<Secret, FileError> {
    Secret::read(path).map_err(|source| FileError::Passphrase { path: path.into(), source })
}

const UNKNOWN_KEY: &str = "is no key that can be used here, or is damaged: RSA of 2048 bits or more, ECDSA with P-256 or P-384 (by the \
                           name of the curve), and Ed25519 can; `openssl pkey -noout -text -in` shows what it is";

pub(super) fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let error = |source| FileError::Read { path: path.into(), source };
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)).map_err(error)?;
    match bytes.len() as u64 > LARGEST {
        true => Err(error(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {LARGEST} bytes")))),
        false => Ok(bytes),
    }
}

fn of_kind(bytes: &[u8], labels: &[&str]) -> Vec<Section> {
    let mut sections = pem::sections(bytes);
    sections.retain(|section| labels.contains(&section.label.as_str()));
    sections
}

fn parse(section: &Section) -> Result<CertificateDer<'static>, String> {
    let content = section.content.as_ref().map_err(ToString::to_string)?;
    let der = if section.label == TRUSTED { der::first(content) } else { Some(&content[..]) };
    let der = der.filter(|der| der::certificate(der).is_some()).ok_or("its bytes are no certificate")?;
    Ok(CertificateDer::from(der.to_vec()))
}

fn subject(section: &Section) -> String {
    let content = section.content.as_deref().ok();
    let certificate = content.and_then(der::certificate);
    certificate.map_or_else(String::new, |certificate| format!(", {}", der::name(certificate.subject)))
}

fn unusable(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(rustls::CertificateError::BadEncoding) => {
            "it does not keep to the rules for certificates (RFC 5280)".into()
        }
        rustls::Error::InvalidCertificate(why) => format!("it is not taken: {}", Excerpt(&format!("{why:?}"))),
        other => format!("it is not taken: {}", Excerpt(&other.to_string())),
    }
}

/// Old ones go on being used: a plant whose link to its CA is down must not stop.
fn overdue(path: &Path, lists: &[CertificateRevocationListDer<'_>]) -> Vec<String> {
    let now = unix_ms() / 1_000;
    let due = lists.iter().filter_map(revocation::next_update).filter(|due| *due < now);
    let doubt = |due| {
        format!(
            "a revocation list in `{}` was to be replaced at {}; it is used all the same, and what was revoked since is not in it",
            path.display(),
            Utc(due)
        )
    };
    due.map(doubt).collect()
}

/// What a file is that has none of what is looked for.
pub(super) fn nothing(bytes: &[u8], wanted: &str) -> String {
    let labels: Vec<_> = pem::sections(bytes).into_iter().map(|section| section.label).collect();
    match bytes {
        _ if labels.iter().any(|label| label.starts_with("PKCS7")) => {
            "holds PKCS#7: take the certificates out: `openssl pkcs7 -print_certs -in OLD -out NEW`".into()
        }
        _ if !labels.is_empty() => {
            format!("holds no PEM `{wanted}` section, but: {}", Excerpt(&labels.join(", ")))
        }
        // PFX ::= SEQUENCE { version INTEGER (3), ... } (RFC 7292).
        [0x30, 0x82, _, _, 2, 1, 3, ..] => {
            "is PKCS#12, and not PEM: take certificates and key out: `openssl pkcs12 -in OLD -out NEW`".into()
        }
        _ if pem::is_der(bytes) => {
            format!(
                "is DER, and not PEM; it must hold a PEM `{wanted}` section: convert it: `openssl {} -inform der -in OLD -out NEW`",
                tool(wanted)
            )
        }
        _ => format!("holds no PEM `{wanted}` section: is it the right file?"),
    }
}

fn tool(wanted: &str) -> &'static str {
    match wanted {
        "CERTIFICATE" => "x509",
        _ => "pkey",
    }
}

// === impl FileError ===

impl FileError {
    pub(super) fn new(path: &Path, what: impl Into<String>) -> Self {
        Self::Content { path: path.into(), what: what.into() }
    }
}

#[cfg(test)]
mod tests;
