//! Our own certificate: under a passphrase, renewed while the gateway runs; and files with something bad in them.

use tidegate_tests::eventually::soon;
use tidegate_tests::gateway::{Gateway, Home};
use tidegate_tests::mosquitto::Mosquitto;
use tidegate_tests::openssl::{Certificate, LOCALHOST, Openssl};

use super::{broker, checked, config, file, forwards};

const PASSPHRASE: &str = "open-sesame-4711";
const WRONG: &str = "barley-0815";

/// Wants a certificate of us, and takes its common name for the user.
fn strict(openssl: &Openssl) -> Mosquitto {
    openssl.certificate("server", LOCALHOST);
    let cafile = openssl.path("ca.pem");
    broker(
        openssl,
        "server",
        &format!("cafile {}\nrequire_certificate true\nuse_identity_as_username true\n", cafile.display()),
    )
}

fn client(openssl: &Openssl, name: &str) {
    let subject = format!("/CN={name}");
    openssl.certificate(
        name,
        Certificate { subject: &subject, extensions: Some("basicConstraints=CA:FALSE"), ..LOCALHOST },
    );
}

fn install(openssl: &Openssl, name: &str) {
    openssl.replace("gw.pem", openssl.read(&format!("{name}.pem")));
    openssl.replace("gw.key", openssl.read(&format!("{name}.key")));
}

fn lines(openssl: &Openssl) -> String {
    file(openssl, "ca", "ca.pem") + &file(openssl, "cert", "gw.pem") + &file(openssl, "key", "gw.key")
}

fn came_as(broker: &Mosquitto, user: &str) {
    let user = format!("u'{user}'");
    soon(&format!("a client with the certificate of {user}"), || broker.said().iter().any(|line| line.contains(&user)));
}

#[test]
fn a_certificate_that_is_renewed_is_shown_with_the_next_connection_and_one_that_is_damaged_is_not() {
    let openssl = Openssl::with_ca();
    let mut broker = strict(&openssl);
    for name in ["one", "two"] {
        client(&openssl, name);
    }
    install(&openssl, "one");
    let gateway = Gateway::start(&config("localhost", broker.address().port(), &lines(&openssl)));
    forwards(&gateway, 1);
    came_as(&broker, "one");

    openssl.replace("gw.pem", "half of a certifi");
    gateway.expect_log(&["files of TLS have changed and cannot be used", "gw.pem"]);
    let status = || gateway.home().tidegate("status", &[]).out;
    assert!(status().contains("cannot be used, the old ones are in use"), "{}", status());
    broker.restart();
    came_as(&broker, "one");
    forwards(&gateway, 2);

    install(&openssl, "two");
    gateway.expect_log(&["files of TLS have changed, and are used from the next connection on"]);
    assert!(!status().contains("cannot be used"), "{}", status());
    assert!(!broker.said().iter().any(|line| line.contains("u'two'")), "the connection that was open stays");
    broker.restart();
    came_as(&broker, "two");
    forwards(&gateway, 3);
    gateway.stop();
}

#[test]
fn a_key_under_a_passphrase_is_used_and_neither_is_told() {
    let openssl = Openssl::with_ca();
    let broker = strict(&openssl);
    client(&openssl, "one");
    install(&openssl, "one");
    openssl.run(&format!("pkcs8 -topk8 -v2 aes256 -in one.key -passout pass:{PASSPHRASE} -out gw.key"));
    openssl.write("passphrase", format!("{PASSPHRASE}\n"));
    let config = |more: &str| config("localhost", broker.address().port(), &(lines(&openssl) + more));
    let said = checked(&config(""));
    assert!(said.contains("set `key_passphrase_file`"), "{said}");
    let good = config(&file(&openssl, "key_passphrase_file", "passphrase"));
    let gateway = Gateway::start(&good);
    forwards(&gateway, 1);
    came_as(&broker, "one");
    openssl.write("passphrase", format!("{WRONG}\n"));
    gateway.expect_log(&["cannot be used", "does not open with the passphrase"]);
    let wrong = checked(&good);
    assert!(wrong.contains("does not open with the passphrase"), "{wrong}");
    let told = gateway.log().text() + &gateway.home().tidegate("status", &["--format", "json"]).out + &wrong;
    assert!(!told.contains(PASSPHRASE) && !told.contains(WRONG));
    gateway.stop();
}

#[test]
fn check_and_the_log_name_the_one_bad_certificate_of_the_trusted_and_the_others_are_used() {
    let openssl = Openssl::with_ca();
    openssl.certificate("server", LOCALHOST);
    let broker = broker(&openssl, "server", "");
    let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    openssl.write("many.pem", [bad.as_bytes(), &openssl.read("ca.pem")].concat());
    let config = config("localhost", broker.address().port(), &file(&openssl, "ca", "many.pem"));
    const NAMED: &str = "many.pem` (line 1) is left out: its bytes are no certificate";
    let finished = Home::new(&config).tidegate("check", &[]);
    assert!(finished.err.contains("certificate 1 of 2") && finished.err.contains(NAMED), "{finished:?}");
    assert!(finished.code == Some(0) && finished.out.contains("lets us in"), "{finished:?}");
    assert_eq!(Home::new(&config).tidegate("check", &["--strict"]).code, Some(1));
    let gateway = Gateway::start(&config);
    gateway.expect_log(&["certificate 1 of 2", NAMED]);
    forwards(&gateway, 1);
    gateway.stop();
}
