use std::time::Duration;

use rustls::pki_types::UnixTime;

use super::*;

fn of(error: Error) -> Refusal {
    Refusal::of(&io::Error::new(io::ErrorKind::InvalidData, error))
}

#[test]
fn what_a_device_lacks_is_called_by_its_name() {
    for (what, says) in [
        (PeerIncompatible::SignatureAlgorithmsExtensionRequired, "offers TLS 1.1 at most"),
        (PeerIncompatible::Tls12NotOffered, "offers TLS 1.1 at most"),
        (PeerIncompatible::NoCipherSuitesInCommon, "offers no ECDHE with AES-GCM or ChaCha20"),
        (PeerIncompatible::NoKxGroupsInCommon, "X25519, P-256 and P-384"),
    ] {
        let Refusal { kind, text } = of(Error::PeerIncompatible(what));
        assert!(kind == Kind::Incompatible && text.contains(says), "{text}");
    }
}

#[test]
fn a_certificate_of_a_device_is_told_from_none_and_from_that_of_the_gateway() {
    let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let expired = CertificateError::ExpiredContext { time: at(951_868_800), not_after: at(0) };
    for (error, kind, says) in [
        (Error::NoCertificatesPresented, Kind::NoCertificate, "shows no certificate"),
        (Error::InvalidCertificate(CertificateError::Revoked), Kind::Certificate, "revoked"),
        (Error::InvalidCertificate(CertificateError::UnknownIssuer), Kind::Certificate, "not in `client_ca`"),
        (Error::InvalidCertificate(expired), Kind::Certificate, "clock of this machine says 2000-03-01"),
        (Error::AlertReceived(AlertDescription::UnknownCA), Kind::Distrusts, "certificate of the gateway"),
    ] {
        let refusal = of(error);
        assert!(refusal.kind == kind && refusal.text.contains(says), "{refusal:?}");
    }
}

#[test]
fn what_webpki_does_not_take_is_said_in_words() {
    for (error, says) in [
        (webpki::Error::UnsupportedCriticalExtension, "marked critical"),
        (webpki::Error::NameConstraintViolation, "name constraints"),
        (webpki::Error::PathLenConstraintViolated, "path length"),
        (webpki::Error::EndEntityUsedAsCa, "CA:FALSE"),
    ] {
        let other = rustls::OtherError(std::sync::Arc::new(error));
        let text = of(Error::InvalidCertificate(CertificateError::Other(other))).text;
        assert!(text.contains(says) && !text.contains("Other"), "{text}");
    }
}

#[test]
fn plain_mqtt_is_no_tls_and_an_end_is_an_end() {
    assert_eq!(of(Error::InvalidMessage(InvalidMessage::InvalidContentType)).kind, Kind::NotTls);
    assert_eq!(Refusal::of(&io::ErrorKind::UnexpectedEof.into()).kind, Kind::BrokenOff);
}

#[test]
fn kinds_are_places_in_a_list() {
    let all = [
        Kind::NoCertificate,
        Kind::Certificate,
        Kind::Distrusts,
        Kind::Incompatible,
        Kind::NotTls,
        Kind::Late,
        Kind::BrokenOff,
    ];
    assert_eq!(all.map(Kind::index), std::array::from_fn::<usize, KINDS, _>(|index| index));
}
