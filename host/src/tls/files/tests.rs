//! Files as openssl writes them, and as people leave them.

use rustls::crypto::ring::default_provider;
use tidegate_tests::openssl::{Certificate, LOCALHOST, Openssl, P_256};

use super::*;

fn openssl() -> Openssl {
    let openssl = Openssl::default();
    openssl.certificate("a", Certificate { by: None, ..LOCALHOST });
    openssl
}

fn load(openssl: &Openssl, key: &str, passphrase: Option<&str>) -> Result<Found<CertifiedKey>, String> {
    let (cert, key) = (openssl.path("a.pem"), openssl.path(key));
    pair(&default_provider(), &cert, &key, passphrase.map(str::as_bytes)).map_err(|error| error.to_string())
}

#[test]
fn a_key_is_read_in_each_form_and_between_whatever_stands_around_it() {
    let openssl = openssl();
    openssl.run("ec -in a.key -out sec1.key");
    openssl.run("ecparam -name prime256v1 -out parameters");
    openssl.run("pkcs12 -export -inkey a.key -in a.pem -name machine-7 -passout pass:x -out a.p12");
    openssl.run("pkcs12 -in a.p12 -passin pass:x -nodes -out bag.key");
    let (key, certificate) = (openssl.read("a.key"), openssl.read("a.pem"));
    openssl.write("parameters.key", [openssl.read("parameters"), openssl.read("sec1.key")].concat());
    openssl.write("both.key", [certificate, key.clone()].concat());
    openssl.write("bom.key", [&b"\xEF\xBB\xBF"[..], &key].concat());
    let text = String::from_utf8(key).unwrap();
    openssl.write("windows.key", text.replace('\n', "\r\n"));
    openssl.write(
        "powershell.key",
        text.encode_utf16().fold(vec![0xFF, 0xFE], |bytes, unit| [bytes, unit.to_le_bytes().to_vec()].concat()),
    );
    for name in
        ["a.key", "sec1.key", "parameters.key", "bag.key", "both.key", "bom.key", "windows.key", "powershell.key"]
    {
        let found = load(&openssl, name, None).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(found.doubts.is_empty(), "{name}: {:?}", found.doubts);
    }
    openssl
        .certificate("a", Certificate { by: None, key: "-algorithm RSA -pkeyopt rsa_keygen_bits:2048", ..LOCALHOST });
    openssl.run("rsa -in a.key -traditional -out pkcs1.key");
    assert!(String::from_utf8(openssl.read("pkcs1.key")).unwrap().contains("BEGIN RSA PRIVATE KEY"));
    load(&openssl, "pkcs1.key", None).unwrap();
    for kind in ["-algorithm ED25519", "-algorithm EC -pkeyopt ec_paramgen_curve:P-384"] {
        openssl.certificate("a", Certificate { by: None, key: kind, ..LOCALHOST });
        load(&openssl, "a.key", None).unwrap();
    }
}

#[test]
fn a_key_without_its_public_part_gets_it_from_its_certificate_and_no_other() {
    let openssl = openssl();
    openssl.run("ec -in a.key -no_public -out sec1.key");
    openssl.run("pkcs8 -topk8 -nocrypt -in sec1.key -out pkcs8.key");
    for key in ["sec1.key", "pkcs8.key"] {
        let alone = private_key(&openssl.path(key), None).unwrap().value;
        assert!(
            default_provider().key_provider.load_private_key(alone).is_err(),
            "ring takes it by now: `ec_key` may go"
        );
        load(&openssl, key, None).unwrap();
    }
    openssl.certificate("a", Certificate { by: None, ..LOCALHOST });
    assert!(load(&openssl, "sec1.key", None).is_err());
}

#[test]
fn an_encrypted_key_opens_with_its_passphrase_in_each_way_that_is_worth_something() {
    let openssl = openssl();
    for how in [
        "-v2 aes256",
        "-v2 aes128 -v2prf hmacWithSHA512 -iter 5000",
        "-v2 aes256 -v2prf hmacWithSHA1",
        "-v2 des3 -v2prf hmacWithSHA1",
        "-scrypt",
    ] {
        openssl.run(&format!("pkcs8 -topk8 -in a.key {how} -passout pass:secret -out e.key"));
        load(&openssl, "e.key", Some("secret")).unwrap_or_else(|error| panic!("{how}: {error}"));
        let wrong = load(&openssl, "e.key", Some("sesame")).unwrap_err();
        assert!(wrong.contains("does not open") && !wrong.contains("sesame"), "{how}: {wrong}");
        assert!(load(&openssl, "e.key", None).unwrap_err().contains("set `key_passphrase_file`"), "{how}");
    }
    openssl.run(&format!("genpkey {P_256} -aes-256-cbc -pass pass:secret -out e.key"));
    assert!(load(&openssl, "e.key", Some("secret")).unwrap_err().contains("does not belong to the certificate"));
}

#[test]
fn an_encryption_that_is_worth_nothing_is_refused_with_what_to_type_and_an_open_key_beside_a_passphrase_is_doubted() {
    let openssl = openssl();
    for command in [
        "pkcs8 -topk8 -in a.key -v1 PBE-SHA1-3DES -passout pass:secret -out e.key",
        "ec -in a.key -aes256 -passout pass:secret -out e.key",
    ] {
        openssl.run(command);
        for passphrase in [Some("secret"), None] {
            let error = load(&openssl, "e.key", passphrase).unwrap_err();
            assert!(error.contains("openssl pkcs8 -topk8 -v2 aes256") && error.contains("e.key"), "{command}: {error}");
        }
        openssl.run("pkcs8 -topk8 -v2 aes256 -in e.key -passin pass:secret -passout pass:secret -out new.key");
        load(&openssl, "new.key", Some("secret")).unwrap();
    }
    let doubts = load(&openssl, "a.key", Some("secret")).unwrap().doubts;
    assert!(doubts[0].contains("is not encrypted") && !doubts[0].contains("secret"), "{doubts:?}");
}

#[test]
fn keys_that_cannot_be_used_are_told_apart_from_keys_of_another_certificate() {
    let openssl = openssl();
    openssl.run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out p521.key");
    openssl.run(&format!("genpkey {P_256} -out other.key"));
    openssl.write("ssh.key", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n");
    for (key, expected) in [
        ("p521.key", "no key that can be used here"),
        ("other.key", "does not belong to the certificate"),
        ("ssh.key", "ssh-keygen -p -m PKCS8"),
        ("a.pem", "holds no PEM `PRIVATE KEY` section, but: CERTIFICATE"),
    ] {
        let error = load(&openssl, key, None).unwrap_err();
        assert!(error.contains(expected), "{key}: {error}");
    }
}

#[test]
fn one_bad_certificate_among_the_trusted_is_named_and_the_others_are_used() {
    let openssl = openssl();
    for name in ["b", "c"] {
        openssl.authority(name);
    }
    let text = |name: &str| String::from_utf8(openssl.read(name)).unwrap();
    // A byte of its structure is another one: a SEQUENCE that is too long.
    openssl.run("x509 -in b.pem -outform der -out b.der");
    let mut damaged = openssl.read("b.der");
    let at = damaged.windows(3).rposition(|bytes| bytes == b"\x55\x1d\x13").unwrap();
    damaged[at + 5] = 0x7F;
    openssl.write("damaged.der", damaged);
    openssl.run("base64 -in damaged.der -out damaged");
    let damaged = format!("-----BEGIN CERTIFICATE-----\n{}-----END CERTIFICATE-----\n", text("damaged"));
    let cut = text("b.pem").replace("-----END CERTIFICATE-----\n", "");
    openssl.run("x509 -in c.pem -trustout -out trusted.pem");
    for (bad, expected) in [
        (damaged, "(line 1, CN=Plant-b) is left out: it does not keep to the rules"),
        (cut, "(line 1) is left out: it has no `-----END` line"),
        ("-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n".into(), "it is not Base64"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".into(), "its bytes are no certificate"),
    ] {
        let ca = openssl.write("ca.pem", format!("{bad}{}text\n{}", text("a.pem"), text("trusted.pem")));
        let Found { value, doubts } = anchors(&ca).unwrap();
        assert_eq!(value.len(), 2, "{doubts:?}");
        let [doubt] = &doubts[..] else { panic!("{doubts:?}") };
        assert!(doubt.contains("certificate 1 of 3 in `") && doubt.contains(expected), "{doubt}");
        let alone = anchors(&openssl.write("ca.pem", bad)).unwrap_err().to_string();
        assert!(alone.contains("holds no certificate that can be used: certificate 1 of 1"), "{alone}");
    }
}

#[test]
fn a_chain_with_one_bad_certificate_is_none() {
    let openssl = openssl();
    let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    openssl.write("a.pem", [openssl.read("a.pem"), bad.into()].concat());
    let error = load(&openssl, "a.key", None).unwrap_err();
    assert!(error.contains("certificate 2 (line ") && error.contains("no certificate"), "{error}");
}

#[test]
fn what_is_not_pem_is_called_by_its_name_with_the_command_that_converts_it() {
    let openssl = openssl();
    openssl.run("x509 -in a.pem -outform der -out a.der");
    openssl.run("pkcs12 -export -inkey a.key -in a.pem -passout pass:x -out a.p12");
    openssl.run("crl2pkcs7 -nocrl -certfile a.pem -out a.p7b");
    openssl.write("empty", "");
    for (file, expected) in [
        ("a.der", "openssl x509 -inform der"),
        ("a.p12", "openssl pkcs12 -in"),
        ("a.p7b", "openssl pkcs7 -print_certs"),
        ("a.key", "holds no PEM `CERTIFICATE` section, but: PRIVATE KEY"),
        ("empty", "is it the right file?"),
        ("missing", "cannot read"),
    ] {
        for error in [anchors(&openssl.path(file)).map(|_| ()), certificates(&openssl.path(file)).map(|_| ())] {
            let error = error.unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains(file), "{file}: {error}");
        }
    }
}

#[test]
fn revocation_lists_are_read_in_both_forms_and_one_that_is_overdue_is_told() {
    let openssl = Openssl::with_ca();
    openssl.revocation_list("ca", "good.crl", "");
    openssl.run("crl -in good.crl -outform der -out der.crl");
    for name in ["good.crl", "der.crl"] {
        let Found { value, doubts } = revocation_lists(&openssl.path(name)).unwrap();
        assert_eq!((value.len(), doubts.len()), (1, 0), "{name}: {doubts:?}");
    }
    openssl.revocation_list("ca", "old.crl", "-crl_lastupdate 20200101000000Z -crl_nextupdate 20200201000000Z");
    let doubts = revocation_lists(&openssl.path("old.crl")).unwrap().doubts;
    assert!(doubts[0].contains("old.crl") && doubts[0].contains("2020-02-01 00:00:00 UTC"), "{doubts:?}");
    let both = [openssl.read("good.crl"), b"-----BEGIN X509 CRL-----\n%\n-----END X509 CRL-----\n".into()].concat();
    openssl.write("damaged.crl", both);
    for (file, expected) in
        [("damaged.crl", "revocation list 2 (line "), ("ca.pem", "holds no PEM `X509 CRL` section, but: CERTIFICATE")]
    {
        let error = revocation_lists(&openssl.path(file)).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains(file), "{file}: {error}");
    }
}
