//! What a certificate says about itself. Nothing here is verified: that is for rustls, which then tells none of it.

use std::fmt;

use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::time::Time;

use crate::base::excerpt::Excerpt;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    /// `CN=gateway,O=Plant 7`, for people.
    pub subject: String,
    /// Seconds since the Unix epoch.
    pub not_before: u64,
    pub not_after: u64,
    pub key: KeyKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    P256,
    Rsa,
    Other,
}

// === impl Details ===

impl Details {
    /// `None` for what is written so that it cannot be read by the rules; TLS may use it all the same.
    pub fn read(certificate: &CertificateDer<'_>) -> Option<Self> {
        let certificate = Certificate::from_der(certificate).ok()?;
        let inside = certificate.tbs_certificate();
        let algorithm = &inside.subject_public_key_info().algorithm;
        let curve = algorithm.parameters.as_ref().and_then(|curve| curve.decode_as().ok());
        let key = match algorithm.oid {
            RSA => KeyKind::Rsa,
            EC if curve == Some(P_256) => KeyKind::P256,
            _ => KeyKind::Other,
        };
        let (not_before, not_after) = (seconds(inside.validity().not_before), seconds(inside.validity().not_after));
        Some(Self { subject: Excerpt(&inside.subject().to_string()).to_string(), not_before, not_after, key })
    }
}

pub(super) fn seconds(time: Time) -> u64 {
    time.to_unix_duration().as_secs()
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::P256 => "P-256",
            Self::Rsa => "RSA",
            Self::Other => "neither RSA nor P-256",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_tests::tls::{Authority, Leaf};

    #[test]
    fn dates_subject_and_key_are_those_that_it_was_made_with() {
        let authority = Authority::new("ca");
        let made = authority.sign(&Leaf { common_names: &["gateway"], ends_in_days: 10, ..Leaf::default() });
        let details = Details::read(&made.certificate).unwrap();
        assert_eq!((details.subject.as_str(), details.key), ("CN=gateway", KeyKind::P256));
        assert_eq!((details.not_after - details.not_before) / 86_400, 11);
    }

    #[test]
    fn what_is_no_certificate_has_no_details() {
        for bytes in [&b""[..], b"\x30", b"\x30\x03\x02\x01\x01", &[0xFF; 300]] {
            assert_eq!(Details::read(&CertificateDer::from(bytes)), None);
        }
    }
}
