//! TLS towards devices: the certificate of a listener, and whom it lets in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig};

use super::certificate::Details;
use super::chain_revocation;
use super::expiry::Ends;
use super::files::{self, FileError, Found};
use super::revocation;
use crate::base::secret::Secret;
use crate::config::ListenerTls;

/// What is wrong with the files of a listener.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("`{path}` holds no certificate of a CA that can be used")]
    NoCa { path: PathBuf },
    #[error("a revocation list of `{path}` cannot be used: {why}")]
    List { path: PathBuf, why: String },
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}

/// The files as they are now, made ready, and what people are told of them.
pub struct Loaded {
    pub config: Arc<ServerConfig>,
    /// Of the certificate that devices see; `None` when it cannot be looked into.
    pub certificate: Option<Details>,
    /// Of the first of its chain that ends, and of the first list that is to be replaced.
    pub ends: Ends,
}

/// `protocols`: what ALPN may agree on. A device that asks for none is served, too.
pub fn load(tls: &ListenerTls, protocols: &[&str]) -> Result<Loaded, ServerError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let (verifier, list) = verifier(&provider, tls)?;
    let pair = pair(&provider, tls)?;
    let details: Vec<_> = pair.cert.iter().map(Details::read).collect();
    let begin = details.iter().flatten().map(|one| one.not_before).max();
    let ends = Ends { begin, certificate: details.iter().flatten().map(|one| one.not_after).min(), list };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    config.max_fragment_size = tls.max_fragment_size;
    without_tickets(&mut config);
    if tls.client_ca.is_some() {
        // A session of TLS 1.2 that goes on is not verified again: who is revoked or has expired would come back with it.
        config.session_storage = Arc::new(NoServerSessionStorage {});
    }
    let certificate = details.into_iter().next().flatten();
    Ok(Loaded { config: Arc::new(config), certificate, ends })
}

/// wolfSSL 5.5 takes nonces of up to 8 bytes, those of rustls have 32: the first read after the handshake fails there. What is given up is
/// resumption with TLS 1.3, which saves a device that comes back one signature; nearly none of them does it.
fn without_tickets(config: &mut ServerConfig) {
    config.send_tls13_tickets = 0;
    // Also to those who ask for some (RFC 9149).
    config.max_tls13_tickets = 0;
}

/// What is doubtful about it goes to the log.
fn pair(provider: &CryptoProvider, tls: &ListenerTls) -> Result<CertifiedKey, FileError> {
    let passphrase = tls.key_passphrase_file.as_deref().map(files::passphrase).transpose()?;
    let Found { value, doubts } = files::pair(provider, &tls.cert, &tls.key, passphrase.as_ref().map(Secret::bytes))?;
    doubts.iter().for_each(|doubt| tracing::warn!("{doubt}"));
    Ok(value)
}

type Verifier = Arc<dyn ClientCertVerifier>;

fn verifier(provider: &Arc<CryptoProvider>, tls: &ListenerTls) -> Result<(Verifier, Option<u64>), ServerError> {
    let Some(client_ca) = &tls.client_ca else { return Ok((WebPkiClientVerifier::no_client_auth(), None)) };
    let roots = Arc::new(roots(client_ca)?);
    let lists =
        tls.crl.as_deref().map(files::revocation_lists).transpose()?.map(|found| found.value).unwrap_or_default();
    let next_update = lists.iter().filter_map(revocation::next_update).min();
    let verifier = chain_revocation::verifier(provider, roots, lists).map_err(|error| match (error, &tls.crl) {
        (VerifierBuilderError::InvalidCrl(why), Some(path)) => {
            ServerError::List { path: path.clone(), why: revocation::explain(&why) }
        }
        _ => ServerError::NoCa { path: client_ca.clone() },
    })?;
    Ok((verifier, next_update))
}

/// One that cannot be used is named and left out: a bundle may have old ones among others.
fn roots(path: &Path) -> Result<RootCertStore, FileError> {
    let Found { value, doubts } = files::anchors(path)?;
    doubts.iter().for_each(|doubt| tracing::warn!("{doubt}"));
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::Identity;
    use tidegate_tests::tls::Authority;

    struct Folder(tempfile::TempDir, Authority);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap(), Authority::new("ca"))
        }

        fn tls(&self) -> ListenerTls {
            let (cert, key) = self.1.server().write(self.0.path(), "gw");
            ListenerTls {
                cert,
                key,
                key_passphrase_file: None,
                client_ca: None,
                crl: None,
                identity: Identity::CommonName,
                max_fragment_size: None,
            }
        }

        fn file(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.path().join(name);
            fs::write(&path, text).unwrap();
            path
        }
    }

    fn error(tls: &ListenerTls) -> String {
        load(tls, &["mqtt"]).err().expect("a refusal").to_string()
    }

    #[test]
    fn no_tickets_and_no_session_that_goes_around_the_verification() {
        let folder = Folder::new();
        let plain = load(&folder.tls(), &["mqtt"]).unwrap().config;
        assert_eq!((plain.send_tls13_tickets, plain.max_tls13_tickets), (0, 0));
        let client_ca = Some(folder.file("ca.pem", &folder.1.pem));
        let mutual = load(&ListenerTls { client_ca, ..folder.tls() }, &["mqtt"]).unwrap().config;
        assert!(!mutual.session_storage.can_cache() && plain.session_storage.can_cache());
    }

    #[test]
    fn the_end_of_the_certificate_is_told_and_that_of_the_list() {
        let folder = Folder::new();
        let (client_ca, crl) = (folder.file("ca.pem", &folder.1.pem), folder.file("crl", &folder.1.revoke(&[], 3)));
        let loaded = load(&ListenerTls { client_ca: Some(client_ca), crl: Some(crl), ..folder.tls() }, &[]).unwrap();
        let days = |seconds: Option<u64>| (seconds.unwrap() - crate::base::clock::unix_ms() / 1_000 + 60) / 86_400;
        assert_eq!((days(loaded.ends.certificate), days(loaded.ends.list)), (365, 3));
        assert_eq!(loaded.certificate.unwrap().subject, "CN=gateway");
    }

    /// What is sent after a handshake in memory, cut into records.
    fn records(config: Arc<ServerConfig>, ca: &Authority, sent: &[u8]) -> Vec<usize> {
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let client = tidegate_tests::tls::Client::new(ca).config();
        let mut client = rustls::ClientConnection::new(client, name).unwrap();
        let mut server = rustls::ServerConnection::new(config).unwrap();
        let mut wire = Vec::new();
        while client.is_handshaking() || server.is_handshaking() {
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut wire.split_off(0).as_slice()).unwrap();
            server.process_new_packets().unwrap();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut wire.split_off(0).as_slice()).unwrap();
            client.process_new_packets().unwrap();
        }
        std::io::Write::write_all(&mut server.writer(), sent).unwrap();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let (mut rest, mut lengths) = (wire.as_slice(), Vec::new());
        while let [_, _, _, high, low, ..] = rest {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            lengths.push(length);
            rest = &rest[5 + length..];
        }
        lengths
    }

    #[test]
    fn records_are_no_larger_than_the_listener_allows() {
        // What TLS 1.3 adds to the content: its kind, and a tag.
        const OVERHEAD: usize = 1 + 16;
        let folder = Folder::new();
        let of = |max_fragment_size| {
            let tls = ListenerTls { max_fragment_size, ..folder.tls() };
            records(load(&tls, &["mqtt"]).unwrap().config, &folder.1, &[0; 3_000])
        };
        assert_eq!(of(None), [3_000 + OVERHEAD]);
        assert_eq!(of(Some(1_029)), [1_024, 1_024, 952].map(|length| length + OVERHEAD));
    }

    #[test]
    fn a_key_of_another_certificate_is_said_to_be_one() {
        let folder = Folder::new();
        let (_, key) = folder.1.server().write(folder.0.path(), "other");
        let said = error(&ListenerTls { key, ..folder.tls() });
        assert!(said.contains("other.key") && said.contains("gw.pem") && said.contains("does not belong"), "{said}");
    }

    #[test]
    fn each_file_that_cannot_be_used_is_named() {
        let folder = Folder::new();
        let empty = folder.file("empty.pem", "nothing\n");
        let ca = Some(folder.file("ca.pem", &folder.1.pem));
        let tls = folder.tls();
        for broken in [
            ListenerTls { cert: empty.clone(), ..tls.clone() },
            ListenerTls { key: empty.clone(), ..tls.clone() },
            ListenerTls { client_ca: Some(empty.clone()), ..tls.clone() },
            ListenerTls { client_ca: ca, crl: Some(empty.clone()), ..tls },
        ] {
            let said = error(&broken);
            assert!(said.contains("empty.pem"), "{said}");
        }
    }

    #[test]
    fn no_error_shows_what_is_in_a_key() {
        let folder = Folder::new();
        let tls = folder.tls();
        let pem = fs::read_to_string(&tls.key).unwrap();
        let body = pem.lines().nth(1).unwrap();
        for damaged in [pem.replace("PRIVATE KEY", "CERTIFICATE"), pem.replace(body, &body[..40])] {
            let said = error(&ListenerTls { key: folder.file("bad.key", &damaged), ..tls.clone() });
            assert!(!said.contains(&body[..20]), "{said}");
        }
    }
}
