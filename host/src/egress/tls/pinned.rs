//! A server whose certificate is known by its digest.
//!
//! For certificates that nobody can issue anew: of a device on the wall, of a CA that is gone. The pin replaces what a chain would say, all of
//! it: who has signed it, for which name, until when. That it has expired is not looked at, because it will, and because boards without a clock
//! live in 1970; who wants dates has `ca`. **That the server has the key of this certificate is checked**, by the signature of each handshake:
//! the certificate itself is no secret.
//!
//! The key is taken out of the certificate by hand and the signature is checked with it ([`RawPublicKeyEntity`]). rustls' own way looks into
//! all of the certificate first, and so refuses those of X.509 version 1, which is what `openssl x509 -req` makes without an extension file.

use std::fmt;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, PeerMisbehaved, SignatureScheme};
use sha2::{Digest as _, Sha256};
use webpki::RawPublicKeyEntity;

use crate::tls::der;

type Pin = [u8; 32];

#[derive(Debug)]
pub struct Pinned {
    pins: Vec<Pin>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// What the server has shown.
#[derive(Debug, PartialEq, Eq)]
pub struct NotPinned(Pin);

// === impl Pinned ===

impl Pinned {
    pub fn new(pins: Vec<Pin>, algorithms: WebPkiSupportedAlgorithms) -> Self {
        Self { pins, algorithms }
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown: Pin = Sha256::digest(certificate).into();
        match self.pins.contains(&shown) {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::Other(OtherError(std::sync::Arc::new(NotPinned(shown)))).into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = public_key(certificate)?;
        let key = RawPublicKeyEntity::try_from(&key).map_err(|_| CertificateError::BadEncoding)?;
        let of_scheme = self.algorithms.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme);
        let (_, algorithms) = of_scheme.ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
        // In TLS 1.2 a scheme does not say which curve it is.
        let is_good =
            algorithms.iter().any(|algorithm| key.verify_signature(*algorithm, message, signed.signature()).is_ok());
        match is_good {
            true => Ok(HandshakeSignatureValid::assertion()),
            false => Err(CertificateError::BadSignature.into()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature_with_raw_key(message, &public_key(certificate)?, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn public_key<'a>(certificate: &'a CertificateDer<'_>) -> Result<SubjectPublicKeyInfoDer<'a>, Error> {
    let certificate = der::certificate(certificate).ok_or(CertificateError::BadEncoding)?;
    Ok(SubjectPublicKeyInfoDer::from(certificate.public_key))
}

// === impl NotPinned ===

impl fmt::Display for NotPinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the upstream shows a certificate with the SHA-256 ")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(", which is not in `pin_sha256`; add it if it is the right server, and ask who changed it")
    }
}

impl std::error::Error for NotPinned {}
