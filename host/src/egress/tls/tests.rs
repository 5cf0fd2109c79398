//! Whole handshakes, in memory: our side as the configuration makes it, and a server with whatever openssl has made.

use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConnection, Error, ServerConfig, ServerConnection, SupportedProtocolVersion, version,
};
use tidegate_tests::openssl::{Certificate, LOCALHOST, Openssl, P_256};

use super::*;

const VERSIONS: [&SupportedProtocolVersion; 2] = [&version::TLS12, &version::TLS13];
const SELF_SIGNED: Certificate<'_> = Certificate { by: None, ..LOCALHOST };

/// Shows this certificate, and signs with this key, which may be another one.
fn server(openssl: &Openssl, cert: &str, key: &str, version: &'static SupportedProtocolVersion) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = files::certificates(&openssl.path(cert)).unwrap();
    let own = files::pair(&provider, &openssl.path(&key.replace(".key", ".pem")), &openssl.path(key), None).unwrap();
    let shown = CertifiedKey::new(chain, own.value.key);
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(shown)))
}

/// Until both are done. Our error first.
fn shake_hands(client: Arc<ClientConfig>, server: ServerConfig, name: &str) -> Result<ClientConnection, Error> {
    let mut client = ClientConnection::new(client, ServerName::try_from(name.to_owned()).unwrap())?;
    let mut server = ServerConnection::new(Arc::new(server))?;
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut &wire[..]).unwrap();
        let servers = server.process_new_packets();
        wire.clear();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut &wire[..]).unwrap();
        client.process_new_packets()?;
        servers?;
    }
    Ok(client)
}

fn pinning(fingerprint: &str) -> Tls {
    let bytes: Vec<u8> = fingerprint.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    Tls { pin_sha256: vec![[0; 32], bytes.try_into().unwrap()], ..Tls::default() }
}

fn config(tls: &Tls) -> Arc<ClientConfig> {
    client_config(tls).unwrap().value
}

#[test]
fn a_pinned_certificate_is_good_whatever_it_says() {
    let openssl = Openssl::default();
    let kinds = [
        SELF_SIGNED,
        Certificate { extensions: Some("basicConstraints=CA:TRUE"), ..SELF_SIGNED },
        Certificate { extensions: None, ..SELF_SIGNED },
        Certificate { extensions: None, key: "-algorithm RSA -pkeyopt rsa_keygen_bits:2048", ..SELF_SIGNED },
        Certificate { extensions: None, key: "-algorithm ED25519", ..SELF_SIGNED },
        Certificate { key: "-algorithm EC -pkeyopt ec_paramgen_curve:P-384", subject: "/CN=other", ..SELF_SIGNED },
        Certificate { days: "-1", ..SELF_SIGNED },
    ];
    for kind in kinds {
        openssl.certificate("a", kind);
        for version in VERSIONS {
            let server = server(&openssl, "a.pem", "a.key", version);
            let shaken = shake_hands(config(&pinning(&openssl.fingerprint("a"))), server, "elsewhere.example");
            assert!(shaken.is_ok(), "{:?} {:?} {version:?}: {shaken:?}", kind.key, kind.extensions);
        }
    }
}

#[test]
fn a_certificate_that_is_not_pinned_is_named_by_its_digest() {
    let openssl = Openssl::with_ca();
    openssl.certificate("a", LOCALHOST);
    let server = server(&openssl, "a.pem", "a.key", &version::TLS13);
    let error = shake_hands(config(&pinning(&openssl.fingerprint("ca"))), server, "localhost").unwrap_err();
    let text = crate::egress::tls_error::explain(&error, false);
    let digest = openssl.fingerprint("a").replace(':', "").to_lowercase();
    assert!(text.contains(&digest) && text.contains("not in `pin_sha256`"), "{text}");
}

#[test]
fn who_has_the_pinned_certificate_and_not_its_key_is_refused() {
    let openssl = Openssl::default();
    let rsa = "-algorithm RSA -pkeyopt rsa_keygen_bits:2048";
    for (key, extensions) in [(P_256, LOCALHOST.extensions), (P_256, None), (rsa, None)] {
        openssl.certificate("pinned", Certificate { key, extensions, ..SELF_SIGNED });
        openssl.certificate("thief", Certificate { key, ..SELF_SIGNED });
        for version in VERSIONS {
            let server = server(&openssl, "pinned.pem", "thief.key", version);
            let error = shake_hands(config(&pinning(&openssl.fingerprint("pinned"))), server, "localhost").unwrap_err();
            assert_eq!(error, Error::InvalidCertificate(CertificateError::BadSignature), "{version:?}");
        }
    }
}

fn revoking(openssl: &Openssl, lists: &[&str]) -> Tls {
    let all: Vec<u8> = lists.iter().flat_map(|list| openssl.read(list)).collect();
    Tls { ca: Some(openssl.path("ca.pem")), crl: Some(openssl.write("all.crl", all)), ..Tls::default() }
}

fn refused(openssl: &Openssl, tls: &Tls, cert: &str) -> Option<Error> {
    shake_hands(config(tls), server(openssl, cert, "a.key", &version::TLS13), "localhost").err()
}

#[test]
fn a_revoked_certificate_is_refused_and_so_is_one_of_which_no_list_knows() {
    let openssl = Openssl::with_ca();
    openssl.authority("other");
    openssl.certificate("a", LOCALHOST);
    openssl.revocation_list("ca", "before.crl", "");
    openssl.revocation_list("other", "other.crl", "");
    openssl.revoke("ca", "a");
    openssl.revocation_list("ca", "after.crl", "");
    let with = |lists: &[&str]| refused(&openssl, &revoking(&openssl, lists), "a.pem");
    assert_eq!(with(&["before.crl"]), None);
    assert_eq!(with(&["other.crl", "before.crl"]), None);
    assert_eq!(with(&["other.crl", "after.crl"]), Some(CertificateError::Revoked.into()));
    let unknown = with(&["other.crl"]).unwrap();
    assert!(crate::egress::tls_error::explain(&unknown, false).contains("`crl` has no revocation list"), "{unknown:?}");
}

#[test]
fn a_list_of_version_1_is_refused_with_what_makes_it_version_2() {
    let openssl = Openssl::with_ca();
    let text = String::from_utf8(openssl.read("ca.cnf")).unwrap();
    let without = text.lines().filter(|line| !line.starts_with("crlnumber")).collect::<Vec<_>>();
    openssl.write("ca.cnf", without.join("\n"));
    openssl.revocation_list("ca", "v1.crl", "");
    let error = client_config(&revoking(&openssl, &["v1.crl"])).unwrap_err().to_string();
    assert!(error.contains("all.crl") && error.contains("version 1") && error.contains("crlnumber"), "{error}");
}

#[test]
fn a_ca_between_is_looked_up_where_there_is_a_list_of_the_root() {
    let openssl = Openssl::with_ca();
    openssl.authority("between");
    let extensions = Some("basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign,cRLSign");
    openssl.certificate("between", Certificate { subject: "/CN=Plant-between", extensions, ..LOCALHOST });
    openssl.certificate("a", Certificate { by: Some("between"), ..LOCALHOST });
    openssl.write("chain.pem", [openssl.read("a.pem"), openssl.read("between.pem")].concat());
    openssl.revocation_list("between", "between.crl", "");
    openssl.revocation_list("ca", "before.crl", "");
    openssl.revoke("ca", "between");
    openssl.revocation_list("ca", "after.crl", "");
    let with = |lists: &[&str]| refused(&openssl, &revoking(&openssl, lists), "chain.pem");
    assert_eq!(with(&["between.crl"]), None);
    assert_eq!(with(&["between.crl", "before.crl"]), None);
    assert_eq!(with(&["between.crl", "after.crl"]), Some(CertificateError::Revoked.into()));
}

#[test]
fn the_protocol_that_the_server_knows_is_agreed_on_and_with_none_it_says_so() {
    let openssl = Openssl::with_ca();
    openssl.certificate("a", LOCALHOST);
    let with = |protocols: &[&str]| {
        let alpn = protocols.iter().map(|&protocol| protocol.to_owned()).collect();
        let mut server = server(&openssl, "a.pem", "a.key", &version::TLS13);
        server.alpn_protocols = vec![b"x-amzn-mqtt-ca".to_vec()];
        shake_hands(config(&Tls { ca: Some(openssl.path("ca.pem")), alpn, ..Tls::default() }), server, "localhost")
    };
    let agreed = with(&["mqtt", "x-amzn-mqtt-ca"]).unwrap();
    assert_eq!(agreed.alpn_protocol(), Some(&b"x-amzn-mqtt-ca"[..]));
    assert_eq!(with(&[]).unwrap().alpn_protocol(), None);
    assert!(matches!(with(&["mqtt"]), Err(Error::NoApplicationProtocol | Error::AlertReceived(_))));
}

#[test]
fn a_certificate_of_ours_that_ends_soon_is_told_before_it_does() {
    let openssl = Openssl::with_ca();
    for (days, expected) in [("-1", Some("has expired at")), ("10", Some("ends at")), ("60", None)] {
        openssl.certificate("a", Certificate { days, ..LOCALHOST });
        let [ca, cert, key] = ["ca.pem", "a.pem", "a.key"].map(|name| Some(openssl.path(name)));
        let doubts = client_config(&Tls { ca, cert, key, ..Tls::default() }).unwrap().doubts;
        assert_eq!(doubts.len(), usize::from(expected.is_some()), "{doubts:?}");
        assert!(expected.is_none_or(|expected| doubts[0].contains(expected)), "{doubts:?}");
    }
}

#[test]
fn files_that_change_are_used_from_then_on_and_bad_ones_are_not() {
    let openssl = Openssl::with_ca();
    openssl.authority("other");
    openssl.certificate("a", LOCALHOST);
    let ca: PathBuf = openssl.path("trusted.pem");
    openssl.write("trusted.pem", openssl.read("other.pem"));
    let (current, _) = Current::read(&Tls { ca: Some(ca), ..Tls::default() }).unwrap();
    let is_trusted =
        || shake_hands(current.get(), server(&openssl, "a.pem", "a.key", &version::TLS13), "localhost").is_ok();
    assert!(!is_trusted());
    openssl.replace("trusted.pem", openssl.read("ca.pem"));
    assert!(!is_trusted());
    current.reload().unwrap();
    assert!(is_trusted());
    openssl.replace("trusted.pem", "nothing");
    assert!(current.reload().is_err_and(|error| error.to_string().contains("trusted.pem")));
    assert!(is_trusted());
}
