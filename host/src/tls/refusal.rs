//! Why a device got no TLS connection, in words of the person who has to mend it: whose certificate, what the device lacks.
//!
//! Texts of rustls are made for programmers, and some come from what is missing first: a device with TLS 1.1 is refused for an extension
//! that only TLS 1.2 has.

use std::io;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

use super::identity::NoName;
use crate::base::excerpt::Excerpt;
use crate::base::utc::Utc;

/// What somebody has to do about it is the same for all of a kind: they are counted and told by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The device shows none, and has to.
    NoCertificate,
    /// The certificate of the device is not good here.
    Certificate,
    /// The device does not take the certificate of the gateway.
    Distrusts,
    /// There is no version, cipher or curve in common.
    Incompatible,
    /// What comes is no TLS.
    NotTls,
    /// It was not done in time.
    Late,
    /// The device ended it, or it broke.
    BrokenOff,
}

/// What went wrong, and with it whether the next one may be told too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub kind: Kind,
    pub text: String,
}

/// All of them, as places in a list.
pub const KINDS: usize = 7;

// === impl Kind ===

impl Kind {
    pub fn index(self) -> usize {
        self as usize
    }
}

// === impl Refusal ===

impl Refusal {
    fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    pub fn late() -> Self {
        Self::new(
            Kind::Late,
            "no TLS within broker.limits.handshake_timeout: the device, or the network to it, is too slow or silent",
        )
    }

    pub fn nameless(why: NoName) -> Self {
        Self::new(
            Kind::Certificate,
            format!(
                "the certificate of the device is good, but names nobody: {why}; `identity` of this listener says where its name is looked for"
            ),
        )
    }

    /// What ended a handshake.
    pub fn of(error: &io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(error) => Self::of_tls(error),
            None => Self::new(
                Kind::BrokenOff,
                format!("the connection ended in the TLS handshake ({error}); the log of the device may say why"),
            ),
        }
    }

    fn of_tls(error: &Error) -> Self {
        match error {
            Error::NoCertificatesPresented => Self::new(
                Kind::NoCertificate,
                "the device shows no certificate, and this listener lets in only who has one of `client_ca`: give it a certificate and its key (many devices also show none when theirs has a key that is not known here, as one of P-521)",
            ),
            Error::InvalidCertificate(why) => Self::new(Kind::Certificate, certificate(why)),
            Error::InvalidCertRevocationList(why) => Self::new(
                Kind::Certificate,
                format!(
                    "the revocation list for the certificate of the device is not usable: {}",
                    super::revocation::explain(why)
                ),
            ),
            Error::PeerIncompatible(what) => Self::new(Kind::Incompatible, incompatible(what)),
            Error::NoApplicationProtocol => Self::new(
                Kind::Incompatible,
                "the device asks for an application protocol (ALPN) that is not spoken here: let it ask for `mqtt`, or for none",
            ),
            Error::AlertReceived(alert) => alerted(*alert),
            Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) => {
                Self::new(
                    Kind::NotTls,
                    "what comes is no TLS, and this listener speaks nothing else: let the device use TLS (`mqtts://`), or a listener without `tls`; where a load balancer sends a PROXY protocol header, set `proxy_protocol = true`",
                )
            }
            other => Self::new(Kind::BrokenOff, format!("the TLS handshake failed: {}", Excerpt(&other.to_string()))),
        }
    }
}

fn certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::ExpiredContext { time, not_after } => format!(
            "the certificate of the device has expired at {}, and the clock of this machine says {}: renew it, or set the clock",
            Utc(not_after.as_secs()),
            Utc(time.as_secs())
        ),
        CertificateError::Expired => "the certificate of the device has expired: renew it".into(),
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "the certificate of the device is valid from {} on, and the clock of this machine says {}: is the clock set?",
            Utc(not_before.as_secs()),
            Utc(time.as_secs())
        ),
        CertificateError::NotValidYet => "the certificate of the device is not valid yet: is the clock of this machine set?".into(),
        CertificateError::Revoked => "the certificate of the device has been revoked, by `crl`".into(),
        CertificateError::UnknownRevocationStatus => {
            "no revocation list in `crl` is of the CA that signed the certificate of the device: add the list of that CA to the file".into()
        }
        CertificateError::UnknownIssuer => {
            "the certificate of the device comes from a CA that is not in `client_ca`, or the device does not send the certificates between".into()
        }
        CertificateError::BadSignature => {
            "a signature of the certificate of the device does not hold: is `client_ca` an older CA of the same name, or the key an RSA one of less than 2048 bits?".into()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the certificate of the device is not one for clients: its extended key usage lacks clientAuth".into()
        }
        other => by_name(&format!("{other:?}")),
    }
}

/// What webpki does not take, by its names of it.
const WEBPKI: [(&str, &str); 5] = [
    ("UnsupportedCriticalExtension", "has an extension that is marked critical and is not known here"),
    ("NameConstraintViolation", "has a name that its CA may not sign (name constraints)"),
    ("PathLenConstraintViolated", "stands below a CA whose path length constraint allows no further one"),
    ("EndEntityUsedAsCa", "is signed by a certificate that is not one of a CA (CA:FALSE)"),
    ("BadEncoding", "does not keep to the rules for certificates (RFC 5280)"),
];

/// Of those that rustls knows by their name only.
fn by_name(name: &str) -> String {
    if name.contains("CaUsedAsEndEntity") {
        return "the certificate of the device is one of a CA (CA:TRUE), as `openssl req -x509` makes it: make one with basicConstraints CA:FALSE".into();
    }
    if name.contains("UnsupportedCertVersion") {
        return "the certificate of the device is of X.509 version 1, as `openssl x509 -req` makes it without `-extfile`: make one of version 3".into();
    }
    if name.contains("UnsupportedSignatureAlgorithm") {
        return "the certificate of the device, or one between, is signed in a way that is not known here: RSA (2048 to 8192 bits, SHA-256 or better), ECDSA with P-256 or P-384, and Ed25519 are".into();
    }
    let reason = WEBPKI.into_iter().find(|(known, _)| name.contains(known));
    if let Some((_, reason)) = reason {
        return format!("the certificate of the device, or one between, {reason}: make a new one without that");
    }
    format!("the certificate of the device is not accepted: {}", Excerpt(name))
}

fn incompatible(what: &PeerIncompatible) -> String {
    match what {
        PeerIncompatible::SignatureAlgorithmsExtensionRequired
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled => {
            "the device offers TLS 1.1 at most, and TLS 1.2 is the least here: update its software".into()
        }
        PeerIncompatible::NoCipherSuitesInCommon => {
            "the device offers no ECDHE with AES-GCM or ChaCha20 for the kind of key that the certificate of the gateway has; CBC, RSA key exchange and PSK are not spoken here".into()
        }
        PeerIncompatible::NoKxGroupsInCommon | PeerIncompatible::NamedGroupsExtensionRequired | PeerIncompatible::KeyShareExtensionRequired => {
            "the device offers no ECDHE, or none of the curves X25519, P-256 and P-384".into()
        }
        PeerIncompatible::NoSignatureSchemesInCommon | PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon => {
            "the device cannot check signatures of the kind of key that the certificate of the gateway has: most devices know P-256, and RSA of 2048 bits with SHA-256".into()
        }
        other => format!("the device and the gateway have no TLS in common: {other:?}; TLS 1.2 and 1.3 with ECDHE are spoken here"),
    }
}

/// What the device says of the gateway.
fn alerted(alert: AlertDescription) -> Refusal {
    use AlertDescription as A;
    let why = match alert {
        A::UnknownCA => "it does not know the CA that signed it: give the device the file of that CA",
        A::CertificateExpired => "it has expired by the clock of the device: renew it, or set that clock",
        A::CertificateRevoked => "it has been revoked",
        A::BadCertificate | A::UnsupportedCertificate | A::CertificateUnknown => {
            "does it name the host that the device connects to as subjectAltName, and is the CA known there?"
        }
        A::RecordOverflow => {
            return Refusal::new(
                Kind::Incompatible,
                "the records of the gateway are too large for the device: set `max_fragment_size` in `tls` of this listener",
            );
        }
        other => {
            return Refusal::new(
                Kind::BrokenOff,
                format!("the device ended the TLS handshake with the alert {other:?}; its own log may say more"),
            );
        }
    };
    Refusal::new(
        Kind::Distrusts,
        format!("the device does not accept the certificate of the gateway ({alert:?}): {why}"),
    )
}

#[cfg(test)]
mod tests;
