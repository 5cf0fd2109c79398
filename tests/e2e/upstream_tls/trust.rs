//! Who is trusted: by a pin, under another name, unless a list revokes it.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};

use tidegate_tests::eventually::soon;
use tidegate_tests::gateway::Gateway;
use tidegate_tests::openssl::{Certificate, LOCALHOST, Openssl};
use tidegate_tests::process::Process;

use super::{broker, checked, config, file, forwards};

#[test]
fn a_server_is_trusted_by_its_pin_and_not_by_that_of_another() {
    let openssl = Openssl::with_ca();
    openssl.certificate("old", Certificate { extensions: None, ..LOCALHOST });
    let broker = broker(&openssl, "old", "");
    let config = |lines: &str| config("localhost", broker.address().port(), lines);
    let said = checked(&config(&file(&openssl, "ca", "ca.pem")));
    assert!(said.contains("X.509 version 1") && said.contains("`pin_sha256`"), "{said}");
    let other = checked(&config(&format!("pin_sha256 = [\"{}\"]", openssl.fingerprint("ca"))));
    assert!(other.contains("is not in `pin_sha256`"), "{other}");
    let gateway = Gateway::start(&config(&format!("pin_sha256 = [\"{}\"]", openssl.fingerprint("old"))));
    forwards(&gateway, 1);
    gateway.stop();
}

#[test]
fn a_certificate_for_another_name_is_good_when_that_name_is_asked_for() {
    let openssl = Openssl::with_ca();
    openssl.certificate("a", Certificate { extensions: Some("subjectAltName=DNS:broker.internal"), ..LOCALHOST });
    let broker = broker(&openssl, "a", "");
    let config = |lines: &str| {
        config("127.0.0.1", broker.address().port(), &format!("{}{lines}", file(&openssl, "ca", "ca.pem")))
    };
    let said = checked(&config(""));
    assert!(said.contains("not for `127.0.0.1`, but for broker.internal") && said.contains("`server_name`"), "{said}");
    let wrong = checked(&config("server_name = \"other.internal\""));
    assert!(wrong.contains("not for `other.internal`"), "{wrong}");
    let gateway = Gateway::start(&config("server_name = \"broker.internal\""));
    forwards(&gateway, 1);
    gateway.stop();
}

#[test]
fn a_server_that_is_revoked_while_the_gateway_runs_is_not_connected_to_again() {
    let openssl = Openssl::with_ca();
    openssl.certificate("a", LOCALHOST);
    openssl.revocation_list("ca", "list.crl", "");
    let mut broker = broker(&openssl, "a", "");
    let lines = file(&openssl, "ca", "ca.pem") + &file(&openssl, "crl", "list.crl");
    let config = config("localhost", broker.address().port(), &lines);
    let gateway = Gateway::start(&config);
    forwards(&gateway, 1);
    openssl.revoke("ca", "a");
    openssl.revocation_list("ca", "next.crl", "");
    openssl.replace("list.crl", openssl.read("next.crl"));
    gateway.expect_log(&["files of TLS have changed"]);
    forwards(&gateway, 2);
    broker.restart();
    gateway.expect_log(&["certificate has been revoked"]);
    let said = checked(&config);
    assert!(said.contains("certificate has been revoked"), "{said}");
    gateway.stop();
}

/// mosquitto takes any protocol and does not tell which; openssl tells what it was offered.
#[test]
fn the_protocols_of_alpn_are_offered_in_their_order() {
    let openssl = Openssl::with_ca();
    openssl.certificate("a", LOCALHOST);
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port").local_addr().expect("an address").port();
    let mut command = Command::new("openssl");
    let words = format!("s_server -accept {port} -cert a.pem -key a.key -alpn x-amzn-mqtt-ca -naccept 1");
    command.current_dir(openssl.path("")).args(words.split_whitespace());
    let server = Process::start_with("s_server", command.stdin(Stdio::piped()));
    soon("s_server accepts", || server.out().count(|line| line == "ACCEPT") > 0);
    let alpn = "alpn = [\"mqtt\", \"x-amzn-mqtt-ca\"]";
    checked(&config("localhost", port, &(file(&openssl, "ca", "ca.pem") + alpn)));
    soon("s_server tells what was offered", || {
        server.out().count(|line| line.contains("advertised by the client: mqtt, x-amzn-mqtt-ca")) > 0
    });
}
