//! `docs/tls.md`, measured: what a client with OpenSSL takes, what we say to it, and the way out.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};
use std::time::Duration;

use tidegate_tests::eventually::{eventually, soon};
use tidegate_tests::openssl::{Certificate, LOCALHOST, Openssl, P_256};
use tidegate_tests::process::Process;

use super::{broker, checked, config, file};

/// A server whose certificate mosquitto's own client takes.
#[derive(Clone, Copy)]
struct Shown {
    certificate: Certificate<'static>,
    host: &'static str,
    /// What OpenSSL forbids by now, and what plants have switched on again, on both sides.
    is_old: bool,
    /// What `check` says; with the pin of the certificate it says that we are let in.
    said: &'static str,
}

/// A server that `openssl s_client` speaks with: the key of its certificate, and words for `openssl s_server`.
type Offered = (&'static str, &'static str);

const RSA: &str = "-algorithm RSA -pkeyopt rsa_keygen_bits:2048";
const SMALL_RSA: &str = "-algorithm RSA -pkeyopt rsa_keygen_bits:1024";
const P_521: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-521";
const OLD: &str = "ALL:@SECLEVEL=0";
const NO_NAME: &str = "common name does not count";

const fn shown(certificate: Certificate<'static>, said: &'static str) -> Shown {
    Shown { certificate, host: "localhost", is_old: false, said }
}

const fn old(certificate: Certificate<'static>, said: &'static str) -> Shown {
    Shown { is_old: true, ..shown(certificate, said) }
}

const fn with(extensions: &'static str, subject: &'static str) -> Certificate<'static> {
    Certificate { extensions: Some(extensions), subject, ..LOCALHOST }
}

const SHOWN: [Shown; 11] = [
    // `openssl req -x509` with its defaults, which clients are given as the CA.
    shown(
        Certificate { by: None, ..with("basicConstraints=CA:TRUE\nsubjectAltName=DNS:localhost", "/CN=x") },
        "is one of a CA (CA:TRUE)",
    ),
    shown(with("basicConstraints=CA:FALSE", "/CN=localhost"), NO_NAME),
    shown(with("subjectAltName=email:admin@plant.example", "/CN=localhost"), NO_NAME),
    shown(Certificate { extensions: None, ..LOCALHOST }, "X.509 version 1"),
    Shown { host: "127.0.0.1", ..shown(with("basicConstraints=CA:FALSE", "/CN=127.0.0.1"), NO_NAME) },
    Shown { host: "127.0.0.1", ..shown(with("subjectAltName=DNS:127.0.0.1", "/CN=x"), "and not as an address (IP)") },
    shown(Certificate { by: Some("rsa"), how: "-sigopt rsa_padding_mode:pss -sha256", ..LOCALHOST }, "uses RSA-PSS"),
    shown(Certificate { by: Some("p521"), ..LOCALHOST }, "uses the curve P-521"),
    shown(Certificate { how: "-sha512", ..LOCALHOST }, "uses ECDSA with SHA-512"),
    old(Certificate { by: Some("rsa"), how: "-sha1", ..LOCALHOST }, "uses SHA-1 with RSA"),
    old(Certificate { by: Some("small"), ..LOCALHOST }, "an RSA one of less than 2048 bits?"),
];

const NOTHING_IN_COMMON: &str = "no cipher or curve in common";

/// A pin does not help: the key cannot be used, or there is no way to speak.
const OFFERED: [(Offered, &str); 12] = [
    ((P_521, ""), NOTHING_IN_COMMON),
    (("-algorithm ED448", ""), NOTHING_IN_COMMON),
    (("-algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048", ""), NOTHING_IN_COMMON),
    ((SMALL_RSA, "-cipher ALL:@SECLEVEL=0"), "a signature of the upstream's certificate does not hold"),
    ((P_256, "-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA256"), NOTHING_IN_COMMON),
    ((RSA, "-tls1_2 -cipher AES128-GCM-SHA256"), NOTHING_IN_COMMON),
    ((RSA, "-tls1_2 -cipher DHE-RSA-AES128-GCM-SHA256"), NOTHING_IN_COMMON),
    ((P_256, "-tls1_3 -ciphersuites TLS_AES_128_CCM_SHA256"), NOTHING_IN_COMMON),
    ((P_256, "-tls1_3 -psk aabb -nocert"), NOTHING_IN_COMMON),
    ((P_256, "-groups P-521"), NOTHING_IN_COMMON),
    ((RSA, "-tls1_2 -sigalgs RSA+SHA1 -cipher ALL:@SECLEVEL=0"), NOTHING_IN_COMMON),
    ((P_256, "-tls1_1 -cipher ALL:@SECLEVEL=0"), "none of our versions of TLS"),
];

fn workshop() -> Openssl {
    let openssl = Openssl::with_ca();
    for (name, key, subject) in
        [("rsa", RSA, "/CN=RSA"), ("small", SMALL_RSA, "/CN=small"), ("p521", P_521, "/CN=P521")]
    {
        let extensions = Some("basicConstraints=critical,CA:TRUE");
        openssl.certificate(name, Certificate { by: None, key, subject, extensions, ..LOCALHOST });
    }
    openssl
}

/// Whether mosquitto's own client does, with the same CA.
fn mosquitto_takes(openssl: &Openssl, case: &Shown, port: u16, ca: &str) -> bool {
    let mut command = Command::new("mosquitto_pub");
    command.current_dir(openssl.path("")).args([
        "-h",
        case.host,
        "-p",
        &port.to_string(),
        "--cafile",
        ca,
        "-t",
        "t",
        "-m",
        "x",
    ]);
    if case.is_old {
        command.args(["--ciphers", OLD]);
    }
    command.stderr(Stdio::null()).status().expect("mosquitto_pub: install it (`.ci/run` does)").success()
}

#[test]
fn certificates_that_mosquitto_takes_and_we_do_not_are_told_with_the_way_out_and_it_works() {
    let openssl = workshop();
    for case in &SHOWN {
        openssl.certificate("server", case.certificate);
        let settings = if case.is_old { format!("ciphers {OLD}\n") } else { String::new() };
        let broker = broker(&openssl, "server", &settings);
        let port = broker.address().port();
        let ca = format!("{}.pem", case.certificate.by.unwrap_or("server"));
        assert!(mosquitto_takes(&openssl, case, port, &ca), "mosquitto: {}", case.said);
        let said = checked(&config(case.host, port, &file(&openssl, "ca", &ca)));
        assert!(said.contains("does not let us in") && said.contains(case.said), "{}: {said}", case.said);
        let pin = format!("pin_sha256 = [\"{}\"]\n", openssl.fingerprint("server"));
        let out = checked(&config(case.host, port, &pin));
        assert!(out.contains("lets us in"), "{}: {out}", case.said);
    }
}

/// The server, and its port.
fn offering(openssl: &Openssl, (key, words): Offered) -> (Process, u16) {
    openssl.certificate("server", Certificate { key, ..LOCALHOST });
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port").local_addr().expect("an address").port();
    let certificate = if words.contains("-nocert") { "" } else { "-cert server.pem -key server.key" };
    let mut command = Command::new("openssl");
    let words = format!("s_server -accept {port} {certificate} {words}");
    command.current_dir(openssl.path("")).args(words.split_whitespace());
    let server = Process::start_with("s_server", command.stdin(Stdio::piped()));
    soon("s_server accepts", || server.out().count(|line| line == "ACCEPT") > 0);
    (server, port)
}

fn openssl_speaks(openssl: &Openssl, (_, words): Offered, port: u16) -> bool {
    let psk = if words.contains("-psk") { "-psk aabb" } else { "-verify_return_error -verify_hostname localhost" };
    let suites = if words.contains("CCM") { "-ciphersuites TLS_AES_128_CCM_SHA256" } else { "" };
    let old = if words.contains("SECLEVEL") { "-cipher ALL:@SECLEVEL=0" } else { "" };
    let words = format!("s_client -connect localhost:{port} -CAfile ca.pem {psk} {suites} {old}");
    let mut command = Command::new("openssl");
    command.current_dir(openssl.path("")).args(words.split_whitespace()).stdin(Stdio::null());
    command.output().expect("openssl: install it (`.ci/run` does)").status.success()
}

#[test]
fn servers_that_openssl_speaks_with_and_we_do_not_are_told_why() {
    let openssl = workshop();
    for (offered, expected) in OFFERED {
        let (_server, port) = offering(&openssl, offered);
        assert!(openssl_speaks(&openssl, offered, port), "openssl: {offered:?}");
        let pin = format!("pin_sha256 = [\"{}\"]\n", openssl.fingerprint("server"));
        for lines in [file(&openssl, "ca", "ca.pem"), pin] {
            // It serves one after the other.
            let said = eventually("an answer", Duration::from_secs(30), || {
                let said = checked(&config("localhost", port, &lines));
                (!said.contains("does not answer within")).then_some(said)
            });
            assert!(said.contains(expected), "{offered:?}: {said}");
        }
    }
}
