//! The name of a device in its certificate: the common name of its subject, or its one subject alternative name.
//!
//! It is asked for after rustls has verified the certificate, and becomes a user name: in rules, in logs, in topics. So there is one, or
//! none: of two names it is not for us to choose which one the CA has meant, and one with control characters is no name for people.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::{DirectoryString, GeneralName};

use crate::config::Identity;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// What X.520 allows for a common name is 64; URIs of SPIFFE have 2,048 at most.
const LONGEST: usize = 2_048;

/// Why a certificate that is good names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoName {
    #[error("it cannot be read")]
    Unreadable,
    #[error("it has no common name (CN)")]
    NoCommonName,
    #[error("it has more than one common name (CN)")]
    SeveralCommonNames,
    #[error("it has no DNS name, URI or e-mail address as subjectAltName")]
    NoAltName,
    #[error("it has more than one subjectAltName of the same kind, and which of them is meant nobody knows")]
    SeveralAltNames,
    #[error("its name is empty, longer than 2,048 bytes, or has control characters")]
    NoText,
}

/// Of a certificate that has been verified.
pub fn name_of(certificate: &CertificateDer<'_>, identity: Identity) -> Result<Arc<str>, NoName> {
    let certificate = Certificate::from_der(certificate).map_err(|_| NoName::Unreadable)?;
    let name = match identity {
        Identity::CommonName => common_name(&certificate)?,
        Identity::SubjectAltName => alt_name(&certificate)?,
    };
    let is_text = !name.is_empty() && name.len() <= LONGEST && !name.chars().any(char::is_control);
    if is_text { Ok(name.into()) } else { Err(NoName::NoText) }
}

fn common_name(certificate: &Certificate) -> Result<String, NoName> {
    let subject = certificate.tbs_certificate().subject();
    let mut all = subject.iter().filter(|attribute| attribute.oid == COMMON_NAME);
    let name = all.next().ok_or(NoName::NoCommonName)?;
    if all.next().is_some() {
        return Err(NoName::SeveralCommonNames);
    }
    let text: DirectoryString = name.value.decode_as().map_err(|_| NoName::Unreadable)?;
    Ok(text.value().into_owned())
}

/// The first kind that it has, of which it may have one: a certificate for a host and an identity of SPIFFE has both.
fn alt_name(certificate: &Certificate) -> Result<String, NoName> {
    let names = certificate.tbs_certificate().get_extension::<SubjectAltName>().map_err(|_| NoName::Unreadable)?;
    let names = names.map(|(_, names)| names.0).unwrap_or_default();
    let kinds: [fn(&GeneralName) -> Option<&str>; 3] = [dns_name, uri, email];
    for kind in kinds {
        let mut all = names.iter().filter_map(kind);
        match (all.next(), all.next()) {
            (Some(name), None) => return Ok(name.to_owned()),
            (Some(_), Some(_)) => return Err(NoName::SeveralAltNames),
            (None, _) => {}
        }
    }
    Err(NoName::NoAltName)
}

fn dns_name(name: &GeneralName) -> Option<&str> {
    if let GeneralName::DnsName(text) = name { Some(text.as_str()) } else { None }
}

fn uri(name: &GeneralName) -> Option<&str> {
    if let GeneralName::UniformResourceIdentifier(text) = name { Some(text.as_str()) } else { None }
}

fn email(name: &GeneralName) -> Option<&str> {
    if let GeneralName::Rfc822Name(text) = name { Some(text.as_str()) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_tests::tls::{Authority, Leaf, San};

    fn name(leaf: &Leaf<'_>, identity: Identity) -> Result<String, NoName> {
        let made = Authority::new("ca").sign(leaf);
        name_of(&made.certificate, identity).map(|name| name.to_string())
    }

    fn cn(names: &[&str]) -> Result<String, NoName> {
        name(&Leaf { common_names: names, ..Leaf::default() }, Identity::CommonName)
    }

    fn san(names: &[San<'_>]) -> Result<String, NoName> {
        name(&Leaf { common_names: &["other"], alt_names: names, ..Leaf::default() }, Identity::SubjectAltName)
    }

    #[test]
    fn a_common_name_is_the_name_and_two_are_none() {
        assert_eq!(cn(&["sensor-7"]), Ok("sensor-7".into()));
        assert_eq!(cn(&["Präsenz 7"]), Ok("Präsenz 7".into()));
        assert_eq!(cn(&[]), Err(NoName::NoCommonName));
        assert_eq!(cn(&["sensor-7", "admin"]), Err(NoName::SeveralCommonNames));
    }

    #[test]
    fn what_could_end_a_line_or_a_text_is_no_name() {
        for bad in ["", "admin\0.example", "a\nb", "a\u{9b}b"] {
            assert_eq!(cn(&[bad]), Err(NoName::NoText), "{bad:?}");
        }
        assert_eq!(cn(&[&"x".repeat(LONGEST + 1)]), Err(NoName::NoText));
    }

    #[test]
    fn an_alternative_name_is_the_only_one_of_its_kind() {
        assert_eq!(san(&[San::Dns("sensor-7.plant")]), Ok("sensor-7.plant".into()));
        assert_eq!(san(&[San::Email("a@plant")]), Ok("a@plant".into()));
        assert_eq!(san(&[San::Uri("spiffe://plant/7")]), Ok("spiffe://plant/7".into()));
        assert_eq!(san(&[San::Uri("urn:7"), San::Dns("seven")]), Ok("seven".into()));
        assert_eq!(san(&[San::Dns("seven"), San::Dns("admin")]), Err(NoName::SeveralAltNames));
        assert_eq!(san(&[San::Ip([127, 0, 0, 1])]), Err(NoName::NoAltName));
        assert_eq!(san(&[]), Err(NoName::NoAltName));
    }

    #[test]
    fn one_kind_of_name_is_not_taken_for_the_other() {
        let both = Leaf { common_names: &["cn"], alt_names: &[San::Dns("san")], ..Leaf::default() };
        assert_eq!(name(&both, Identity::CommonName), Ok("cn".into()));
        assert_eq!(name(&both, Identity::SubjectAltName), Ok("san".into()));
    }

    #[test]
    fn bytes_that_are_no_certificate_name_nobody() {
        assert_eq!(name_of(&CertificateDer::from(&b"\x30\x00"[..]), Identity::CommonName), Err(NoName::Unreadable));
    }
}
