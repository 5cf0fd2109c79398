//! Who is not let in, what the operator reads about it, and that nothing of a key is written anywhere.

use std::fs;
use std::io::Read as _;

use rustls::version::{TLS12, TLS13};
use tidegate_tests::gateway::Launch;
use tidegate_tests::raw::Raw;
use tidegate_tests::tls::{Authority, Client, Issued, Leaf, Purpose};
use tidegate_tests::wire::{Connect, V4, V5};

use super::{CERTIFICATE, MUTUAL, Plant};

/// With TLS 1.3 a device believes that it is in until it reads.
fn is_refused(client: &Client<'_>, plant: &Plant) -> bool {
    match client.connect(plant.address) {
        Err(_) => true,
        Ok(stream) => {
            let mut raw = Raw::over(stream, V5);
            raw.send(&Connect::new(V5, "intruder").encode());
            raw.expect_close().is_empty()
        }
    }
}

#[test]
fn each_certificate_that_is_not_good_is_refused_counted_and_told_once() {
    const TIMES: usize = 3;
    let stranger = Authority::new("device CA");
    for (what, says) in [
        ("another CA", "not hold: is `client_ca` an older CA of the same name"),
        ("expired", "has expired at"),
        ("not yet", "is valid from"),
        ("revoked", "has been revoked"),
        ("for servers", "lacks clientAuth"),
    ] {
        let plant = Plant::start();
        let sign = |leaf: &Leaf<'_>| plant.device_ca.sign(leaf);
        let issued: Issued = match what {
            "another CA" => stranger.device("admin"),
            "expired" => sign(&Leaf { begins_in_days: -9, ends_in_days: -1, ..Leaf::default() }),
            "not yet" => sign(&Leaf { begins_in_days: 1, ..Leaf::default() }),
            "revoked" => sign(&Leaf { serial: 666, ..Leaf::default() }),
            _ => sign(&Leaf { purpose: Some(Purpose::ServerAuth), ..Leaf::default() }),
        };
        for version in [&TLS12, &TLS13, &TLS13] {
            assert!(is_refused(&Client { versions: &[version], ..plant.client(&issued) }, &plant), "{what}");
        }
        plant.expect_count("tls_bad_certificates_total", TIMES as u64);
        plant.gateway.expect_log(&["no TLS connection", says]);
        assert_eq!(plant.gateway.log().count(|line| line.contains("no TLS connection")), 1, "{what}");
        assert_eq!(plant.gateway.log().count(|line| line.contains(": connected ")), 0, "{what}");
    }
}

#[test]
fn a_ca_that_nobody_knows_and_no_certificate_at_all_are_told_apart() {
    let plant = Plant::start();
    let stranger = Authority::new("another plant").device("admin");
    assert!(is_refused(&plant.client(&stranger), &plant));
    assert!(is_refused(&Client::new(&plant.server_ca), &plant));
    plant.gateway.expect_log(&["comes from a CA that is not in `client_ca`"]);
    plant.gateway.expect_log(&["shows no certificate"]);
    plant.expect_count("tls_without_certificate_total", 1);
    plant.expect_count("tls_bad_certificates_total", 1);
}

#[test]
fn a_device_that_does_not_know_the_gateway_is_told_of_as_such() {
    let plant = Plant::start();
    let issued = plant.device_ca.device("sensor");
    let client = Client::new(&plant.device_ca).showing(&issued);
    assert!(client.connect(plant.address).is_err());
    plant.gateway.expect_log(&["does not accept the certificate of the gateway", "UnknownCA"]);
    plant.expect_count("tls_distrusted_total", 1);
}

#[test]
fn plain_mqtt_and_tls_on_each_other_s_port_are_called_by_their_names() {
    let plant = Plant::start();
    let mut plain = Raw::open(plant.address, V4);
    plain.send(&Connect::new(V4, "plain").encode());
    plain.expect_close();
    plant.gateway.expect_log(&["no TLS connection", "what comes is no TLS"]);
    plant.expect_count("tls_not_tls_total", 1);
    let issued = plant.device_ca.device("sensor");
    assert!(plant.client(&issued).connect(plant.gateway.address()).is_err());
    plant.gateway.expect_log(&["the device speaks TLS, and this listener is for MQTT without it"]);
}

#[test]
fn nothing_of_a_key_is_in_the_log_at_trace_nor_in_status() {
    let how = Launch { env: vec![("RUST_LOG".into(), "trace,rustls=trace".into())], ..Launch::default() };
    let plant = Plant::with(MUTUAL, CERTIFICATE, "", &how);
    let issued = plant.device_ca.device("sensor");
    let mut device = Raw::clean_over(plant.client(&issued).connect(plant.address).unwrap(), V5, "sensor");
    device.publish("t", "x", 1);
    let home = plant.gateway.home().path().to_owned();
    let key = fs::read_to_string(home.join("gw.key")).unwrap();
    // A key that is damaged, and one that is there again: both are told.
    plant.replace(
        "gw.key",
        &key.replace("BEGIN PRIVATE", "BEGIN RSA PRIVATE").replace("END PRIVATE", "END RSA PRIVATE"),
    );
    plant.gateway.expect_log(&["cannot be used, those from before stay in use"]);
    let status = plant.gateway.home().tidegate("status", &[]);
    assert!(status.out.contains("cannot be used"), "{status:?}");
    plant.replace("gw.key", &key);
    plant.gateway.expect_log(&["are in use for new connections"]);
    let log = plant.gateway.log().text();
    let secret = key.lines().filter(|line| !line.starts_with("-----"));
    for part in secret.flat_map(|line| line.as_bytes().chunks(20)) {
        let part = String::from_utf8_lossy(part);
        assert!(part.len() < 20 || !(log.contains(&*part) || status.out.contains(&*part)), "a part of the key");
    }
}

#[test]
fn an_alert_reaches_the_device_although_it_has_said_more_than_was_read() {
    let plant = Plant::start();
    let revoked = plant.device_ca.sign(&Leaf { serial: 666, ..Leaf::default() });
    let mut stream = Client { versions: &[&TLS13], ..plant.client(&revoked) }.connect(plant.address).unwrap();
    // As devices do that think that they are in.
    let _ = std::io::Write::write_all(&mut stream, &Connect::new(V5, "revoked").encode());
    let error = stream.read(&mut [0; 16]).expect_err("an alert");
    assert!(error.to_string().contains("CertificateRevoked"), "{error}");
}
