//! Certificates that are no longer good, by `crl`.
//!
//! The server's own certificate must be known to a list of who has signed it: with a file of another CA nobody would notice that nothing is
//! revoked. The certificates between it and the root are looked up where there is a list, as few plants have one of their root: mosquitto does
//! not look at them at all. rustls can be told one of the two and not both, so that two verifiers are asked.
//!
//! A list that is overdue is used: without a way out to who issues it, a plant would stand still on the day on which it ends. It is told when it
//! is read.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{VerifierBuilderError, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

#[derive(Debug)]
pub struct Unrevoked {
    own: Arc<WebPkiServerVerifier>,
    chain: Arc<WebPkiServerVerifier>,
}

pub fn verifier(
    roots: &Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
    lists: Vec<CertificateRevocationListDer<'static>>,
) -> Result<Unrevoked, VerifierBuilderError> {
    let builder = |lists| WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone()).with_crls(lists);
    Ok(Unrevoked {
        own: builder(lists.clone()).only_check_end_entity_revocation().build()?,
        chain: builder(lists).allow_unknown_revocation_status().build()?,
    })
}

// === impl Unrevoked ===

impl ServerCertVerifier for Unrevoked {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.own.verify_server_cert(certificate, intermediates, name, ocsp, now)?;
        self.chain.verify_server_cert(certificate, intermediates, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.own.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.own.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.own.supported_verify_schemes()
    }
}
