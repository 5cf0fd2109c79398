//! What is wrong with TLS, in words of the person who has to mend it: whose certificate, which date against which clock, what is missing.
//!
//! Texts of rustls are made for programmers. And a refusal by the server is an alert, which says nothing about who is meant: an alert about
//! a certificate means *ours*, as the server's own is none of its troubles.

use std::fmt::Display;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

use super::tls::NotPinned;
use crate::base::excerpt::Excerpt;
use crate::base::utc::Utc;

/// How rustls begins the names that count.
const KINDS: [&str; 2] = ["DnsName(", "IpAddress("];
/// Names that are shown of those that a certificate is for.
const NAMES: usize = 5;

/// `has_certificate`: we have one to show.
pub fn explain(error: &Error, has_certificate: bool) -> String {
    match error {
        Error::InvalidCertificate(error) => certificate(error),
        Error::AlertReceived(alert) => refused(*alert, has_certificate),
        Error::PeerIncompatible(what) => incompatible(what),
        Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) => {
            "the upstream does not speak TLS on this port; give its port for TLS (often 8883), or use `mqtt://`".into()
        }
        Error::NoCertificatesPresented => "the upstream shows no certificate".into(),
        other => format!("TLS fails: {}", Excerpt(&other.to_string())),
    }
}

fn certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::ExpiredContext { time, not_after } => format!(
            "the upstream's certificate has expired at {}, and the clock of this machine says {}; the certificate has to be renewed, or \
             the clock set",
            date(not_after),
            date(time)
        ),
        CertificateError::Expired => "the upstream's certificate has expired by the clock of this machine".into(),
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "the upstream's certificate is valid from {} on, and the clock of this machine says {}; is the clock set?",
            date(not_before),
            date(time)
        ),
        CertificateError::NotValidYet => {
            "the upstream's certificate is not valid yet by the clock of this machine; is the clock set?".into()
        }
        CertificateError::UnknownIssuer => {
            "the upstream's certificate comes from a CA that is not trusted here, or the upstream does not \
             send the certificates between; set `ca` to the file of its CA"
                .into()
        }
        CertificateError::UnknownRevocationStatus => {
            "`crl` has no revocation list of the CA that signed the upstream's certificate; add it to that file".into()
        }
        CertificateError::Other(other) if other.0.is::<NotPinned>() => other.to_string(),
        CertificateError::NotValidForNameContext { expected, presented } => wrong_name(&expected.to_str(), presented),
        CertificateError::NotValidForName => wrong_name("the host of the url", &[]),
        CertificateError::BadSignature => {
            "a signature of the upstream's certificate does not hold; is `ca` an older CA of the same name, or the \
             key an RSA one of less than 2048 bits?"
                .into()
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { signature_algorithm_id, .. } => {
            unsupported(signature_algorithm_id)
        }
        CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { public_key_algorithm_id, .. } => {
            unsupported(public_key_algorithm_id)
        }
        CertificateError::Revoked => "the upstream's certificate has been revoked".into(),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the upstream's certificate is not one for servers (extended key usage)".into()
        }
        CertificateError::BadEncoding => "the upstream's certificate cannot be read".into(),
        other => by_name(&format!("{other:?}")),
    }
}

/// Of those that rustls knows by their name only.
fn by_name(name: &str) -> String {
    if name.contains("CaUsedAsEndEntity") {
        return "the upstream's certificate is one of a CA (CA:TRUE), as `openssl req -x509` makes it, and not one of a server; make one with \
                basicConstraints CA:FALSE, or trust this one by `pin_sha256`"
            .into();
    }
    if name.contains("UnsupportedCertVersion") {
        return "the upstream's certificate is of X.509 version 1; make one of version 3, with `-extfile` and the host as subjectAltName, or \
                trust this one by `pin_sha256`".into();
    }
    format!("the upstream's certificate is not accepted: {}", Excerpt(name))
}

fn wrong_name(expected: &str, presented: &[String]) -> String {
    // What stands there beside names of hosts and addresses (mail, for example) is for somebody else.
    let hosts: Vec<&String> = presented.iter().filter(|name| KINDS.iter().any(|kind| name.starts_with(kind))).collect();
    if hosts.is_empty() {
        return format!(
            "the upstream's certificate names no host as subjectAltName (its common name does not count), and not `{}`; make \
             one with it, or trust this one by `pin_sha256`",
            Excerpt(expected)
        );
    }
    if hosts.iter().any(|name| bare(name) == expected && expected.parse::<std::net::IpAddr>().is_ok()) {
        return format!(
            "the upstream's certificate has `{expected}` as the name of a host (DNS) and not as an address (IP); make one with \
             `subjectAltName=IP:{expected}`, or trust this one by `pin_sha256`"
        );
    }
    let names: Vec<_> = hosts.iter().take(NAMES).map(|name| Excerpt(bare(name)).to_string()).collect();
    let more = if hosts.len() > NAMES { ", ..." } else { "" };
    let names = names.join(", ");
    format!(
        "the upstream's certificate is not for `{}`, but for {}{more}; give one of them as `server_name` if this is the right server",
        Excerpt(expected),
        Excerpt(&names)
    )
}

/// rustls shows `DnsName("other.example")`.
fn bare(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
    inner.trim_matches('"')
}

fn unsupported(algorithm: &[u8]) -> String {
    format!(
        "the upstream's certificate uses {}, which is not supported; RSA (2048 to 8192 bits, SHA-256 or better), ECDSA with P-256 or P-384 \
         (SHA-256 or SHA-384), and Ed25519 are; make one with these, or trust this one by `pin_sha256`",
        algorithm_name(algorithm)
    )
}

/// By its object identifier, in DER.
fn algorithm_name(der: &[u8]) -> String {
    const NAMES: [(&[u8], &str); 11] = [
        (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04", "MD5 with RSA"),
        (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05", "SHA-1 with RSA"),
        (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a", "RSA-PSS"),
        (b"\x2a\x86\x48\xce\x3d\x04\x01", "ECDSA with SHA-1"),
        (b"\x2b\x81\x04\x00\x23", "the curve P-521"),
        (b"\x2b\x65\x71", "Ed448"),
        (b"\x2a\x86\x48\xce\x3d\x02\x01\x30", "a curve by its parameters (explicit), and not by its name"),
        (b"\x2b\x24\x03\x03\x02\x08\x01\x01", "a Brainpool curve"),
        (b"\x2b\x81\x04\x00\x0a", "the curve secp256k1"),
        (b"\x2a\x86\x48\xce\x3d\x04\x03\x04", "ECDSA with SHA-512"),
        (b"\x2a\x86\x48\xce\x38\x04\x03", "DSA"),
    ];
    let is_there = |identifier: &[u8]| der.windows(identifier.len()).any(|part| part == identifier);
    let known = NAMES.iter().find(|(identifier, _)| is_there(identifier));
    let unknown =
        || format!("an algorithm of the identifier {:02x?}", der.get(..der.len().min(32)).unwrap_or_default());
    known.map_or_else(unknown, |(_, name)| (*name).into())
}

/// What an alert of the server means.
fn refused(alert: AlertDescription, has_certificate: bool) -> String {
    use AlertDescription as A;
    let why = match alert {
        A::CertificateRequired | A::NoCertificate => "it asks for one, and got none that it can use",
        A::UnknownCA => "it does not trust the CA that signed it",
        A::CertificateExpired => "it has expired, by the upstream's clock",
        A::CertificateRevoked => "it has been revoked",
        A::BadCertificate | A::UnsupportedCertificate | A::CertificateUnknown => "it cannot use it",
        A::AccessDenied => "it is not allowed in",
        A::DecryptError => "the key does not belong to it, or the signature is of a kind that it does not know",
        A::UnrecognisedName => return "the upstream knows no host of the name in the url, or in `server_name`".into(),
        A::HandshakeFailure | A::InsufficientSecurity | A::ProtocolVersion => return nothing_in_common(alert),
        A::NoApplicationProtocol => {
            return "the upstream wants an application protocol (ALPN) that is not offered; set `alpn` to what its documentation says".into();
        }
        other => return format!("the upstream ends TLS with the alert {other:?}; its own log may say more"),
    };
    match has_certificate {
        true => format!("the upstream refuses our certificate: {why} ({alert:?}); check `cert` and `key`"),
        false => format!("the upstream wants a certificate of us; set `cert` and `key` ({alert:?})"),
    }
}

fn nothing_in_common(alert: AlertDescription) -> String {
    if alert == AlertDescription::ProtocolVersion {
        return "the upstream knows none of our versions of TLS, which are 1.2 and 1.3 (ProtocolVersion)".into();
    }
    format!(
        "the upstream and we have no cipher or curve in common, or its certificate has a key that we do not know (P-521, Ed448, RSA-PSS), or it wants a \
         certificate of us ({alert:?}); we know ECDHE (X25519, P-256, P-384) with AES-GCM or ChaCha20-Poly1305, of TLS 1.2 and 1.3"
    )
}

fn incompatible(what: &PeerIncompatible) -> String {
    match what {
        PeerIncompatible::ServerDoesNotSupportTls12Or13 | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => {
            "the upstream knows TLS 1.1 or less, and we know 1.2 and 1.3".into()
        }
        other => format!("the upstream and we have no TLS in common: {other:?}; we know TLS 1.2 and 1.3 with ECDHE"),
    }
}

fn date(time: &UnixTime) -> impl Display {
    Utc(time.as_secs())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::pki_types::ServerName;

    use super::*;

    fn of(error: CertificateError) -> String {
        explain(&Error::InvalidCertificate(error), false)
    }

    #[test]
    fn dates_stand_beside_the_clock_that_they_were_compared_with() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let expired = of(CertificateError::ExpiredContext { time: at(951_868_800), not_after: at(0) });
        assert!(
            expired.contains("expired at 1970-01-01 00:00:00 UTC")
                && expired.contains("clock of this machine says 2000-03-01")
        );
        let early = of(CertificateError::NotValidYetContext { time: at(0), not_before: at(951_868_800) });
        assert!(early.contains("from 2000-03-01 00:00:00 UTC on") && early.contains("says 1970-01-01"), "{early}");
    }

    #[test]
    fn a_wrong_name_stands_beside_those_that_the_certificate_has_and_they_are_not_many() {
        let expected = ServerName::try_from("broker.example").unwrap().to_owned();
        let presented = |names: Vec<String>| {
            of(CertificateError::NotValidForNameContext { expected: expected.clone(), presented: names })
        };
        assert!(
            presented(vec!["DnsName(\"other.example\")".into(), "IpAddress(10.0.0.1)".into()]).contains(
                "not for `broker.example`, but for other.example, 10.0.0.1; give one of them as `server_name`"
            )
        );
        assert!(presented(Vec::new()).contains("common name does not count"));
        assert!(presented(vec!["Unsupported(0x01)".into()]).contains("common name does not count"));
        assert!(presented(vec!["\u{9b}x".repeat(10_000); 10_000]).len() < 1_500);
    }

    #[test]
    fn an_address_that_stands_there_as_a_name_is_told_so() {
        let expected = ServerName::try_from("10.0.0.1").unwrap().to_owned();
        let presented = vec!["DnsName(\"10.0.0.1\")".into()];
        let text = of(CertificateError::NotValidForNameContext { expected, presented });
        assert!(text.contains("and not as an address (IP)") && text.contains("subjectAltName=IP:10.0.0.1"), "{text}");
    }

    #[test]
    fn an_alert_about_a_certificate_is_about_ours() {
        for alert in
            [AlertDescription::UnknownCA, AlertDescription::CertificateExpired, AlertDescription::BadCertificate]
        {
            let error = Error::AlertReceived(alert);
            assert!(explain(&error, true).contains("refuses our certificate"));
            assert!(explain(&error, false).contains("wants a certificate of us"));
        }
    }

    #[test]
    fn an_algorithm_is_called_by_its_name() {
        let unsupported = |id: &[u8]| {
            of(CertificateError::UnsupportedSignatureAlgorithmContext {
                signature_algorithm_id: id.to_vec(),
                supported_algorithms: Vec::new(),
            })
        };
        assert!(unsupported(b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05").contains("SHA-1 with RSA"));
        assert!(unsupported(b"\x06\x03\x2b\x65\x71").contains("Ed448"));
        assert!(unsupported(&[9; 3_000]).len() < 500);
    }

    #[test]
    fn none_says_anything_about_the_url_when_the_url_is_right() {
        for error in [CertificateError::UnknownIssuer, CertificateError::BadSignature, CertificateError::Expired] {
            assert!(!of(error).contains("url"));
        }
    }
}
