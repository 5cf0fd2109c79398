//! A CA that signs whatever a test wants, for whoever, from and until when.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType,
    SerialNumber,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use time::{Duration, OffsetDateTime};

const DAY: Duration = Duration::DAY;

pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
    pub certificate: CertificateDer<'static>,
}

/// What a certificate is to say.
#[derive(Clone, Debug)]
pub struct Leaf<'a> {
    /// Usually one.
    pub common_names: &'a [&'a str],
    pub alt_names: &'a [San<'a>],
    /// From today; negative is in the past.
    pub begins_in_days: i64,
    pub ends_in_days: i64,
    /// For servers or for clients; both when `None`.
    pub purpose: Option<ExtendedKeyUsagePurpose>,
    pub serial: u64,
}

#[derive(Clone, Copy, Debug)]
pub enum San<'a> {
    Dns(&'a str),
    Uri(&'a str),
    Email(&'a str),
    Ip([u8; 4]),
}

/// A certificate with its key.
pub struct Issued {
    pub certificate: CertificateDer<'static>,
    pub certificate_pem: String,
    pub key_pem: String,
    key: Vec<u8>,
}

// === impl Leaf ===

impl Default for Leaf<'_> {
    fn default() -> Self {
        Self {
            common_names: &["leaf"],
            alt_names: &[],
            begins_in_days: -1,
            ends_in_days: 365,
            purpose: None,
            serial: 7,
        }
    }
}

// === impl Authority ===

impl Authority {
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("random bytes");
        let params = authority_params(name);
        let certificate = params.self_signed(&key).expect("a CA signs itself");
        Self::of(params, key, certificate)
    }

    /// One below this one. Who shows a certificate of it sends its own along.
    pub fn intermediate(&self, name: &str, serial: u64) -> Self {
        let key = KeyPair::generate().expect("random bytes");
        let mut params = authority_params(name);
        params.serial_number = Some(SerialNumber::from(serial));
        let certificate = params.signed_by(&key, &self.issuer).expect("a CA signs");
        Self::of(params, key, certificate)
    }

    fn of(params: CertificateParams, key: KeyPair, certificate: rcgen::Certificate) -> Self {
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Self { issuer: Issuer::new(params, key), pem, certificate: der }
    }

    /// With a key of P-256.
    pub fn sign(&self, leaf: &Leaf<'_>) -> Issued {
        let key = KeyPair::generate().expect("random bytes");
        let certificate = leaf.params().signed_by(&key, &self.issuer).expect("a CA signs");
        let (certificate_pem, key_pem) = (certificate.pem(), key.serialize_pem());
        Issued { certificate: certificate.der().clone(), certificate_pem, key_pem, key: key.serialize_der() }
    }

    /// A certificate for this machine, as a gateway shows it.
    pub fn server(&self) -> Issued {
        let alt_names = [San::Dns("localhost"), San::Ip([127, 0, 0, 1])];
        self.sign(&Leaf { common_names: &["gateway"], alt_names: &alt_names, ..Leaf::default() })
    }

    /// One of a device.
    pub fn device(&self, name: &str) -> Issued {
        let purpose = Some(ExtendedKeyUsagePurpose::ClientAuth);
        self.sign(&Leaf { common_names: &[name], purpose, ..Leaf::default() })
    }

    /// A revocation list in PEM form, of these serial numbers.
    pub fn revoke(&self, serials: &[u64], ends_in_days: i64) -> String {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: in_days(-1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: in_days(-2),
            next_update: in_days(ends_in_days),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).expect("a CA signs").pem().expect("PEM")
    }
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = (in_days(-10), in_days(3_650));
    params
}

impl Leaf<'_> {
    fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        // `rcgen` has one name of a kind: others are of a kind with the same number.
        for (index, name) in self.common_names.iter().enumerate() {
            let kind = if index == 0 { DnType::CommonName } else { DnType::CustomDnType(vec![2, 5, 4, 3]) };
            params.distinguished_name.push(kind, *name);
        }
        params.subject_alt_names = self.alt_names.iter().map(San::as_rcgen).collect();
        params.extended_key_usages = match &self.purpose {
            Some(purpose) => vec![purpose.clone()],
            None => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
        };
        params.serial_number = Some(SerialNumber::from(self.serial));
        (params.not_before, params.not_after) = (in_days(self.begins_in_days), in_days(self.ends_in_days));
        params.use_authority_key_identifier_extension = true;
        params
    }
}

impl San<'_> {
    fn as_rcgen(&self) -> SanType {
        let text = |text: &str| text.to_owned().try_into().expect("ASCII");
        match self {
            San::Dns(name) => SanType::DnsName(text(name)),
            San::Uri(uri) => SanType::URI(text(uri)),
            San::Email(address) => SanType::Rfc822Name(text(address)),
            San::Ip(address) => SanType::IpAddress(IpAddr::V4(Ipv4Addr::from(*address))),
        }
    }
}

// === impl Issued ===

impl Issued {
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.key.clone().into())
    }

    /// `NAME.pem` and `NAME.key`, which nobody else may read.
    pub fn write(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (cert, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
        replace(&cert, &self.certificate_pem);
        replace(&key, &self.key_pem);
        (cert, key)
    }
}

/// As certificates are renewed: a new file takes the name of the old one.
pub fn replace(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let next = path.with_extension("next");
    fs::write(&next, text).expect("a file in a temporary folder");
    fs::set_permissions(&next, fs::Permissions::from_mode(0o600)).expect("a file of our own");
    fs::rename(&next, path).expect("a file in a temporary folder");
}

fn in_days(days: i64) -> OffsetDateTime {
    OffsetDateTime::now_utc() + DAY * i32::try_from(days).expect("less than a geological age")
}
