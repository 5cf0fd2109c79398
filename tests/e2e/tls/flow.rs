//! Devices that are let in: their names, and bytes in both directions.

use rustls::version::{TLS12, TLS13};
use tidegate_tests::gateway::Launch;
use tidegate_tests::raw::Raw;
use tidegate_tests::tls::{Client, Leaf, San};
use tidegate_tests::wire::{self, V4, V5};

use super::{CERTIFICATE, MUTUAL, Plant};

#[test]
fn a_device_is_let_in_with_both_versions_of_tls_and_known_by_its_common_name() {
    let plant = Plant::start();
    for (version, name) in [(&TLS12, "sensor-12"), (&TLS13, "sensor-13")] {
        let issued = plant.device_ca.device(name);
        let stream = Client { versions: &[version], ..plant.client(&issued) }.connect(plant.address).unwrap();
        let mut device = Raw::clean_over(stream, V5, &format!("client-of-{name}"));
        plant.gateway.expect_log(&[": connected ", &format!("user={name:?}")]);
        device.subscribe("t", 1);
        device.publish("u", "there", 2);
        let mut other = Raw::clean(plant.gateway.address(), V4, "other");
        other.publish("t", "back", 1);
        let heard = device.expect_delivery();
        assert_eq!(heard.payload, "back");
        device.acknowledge(&heard);
        device.leave();
    }
    plant.expect_count("tls_handshakes_total", 2);
    plant.gateway.stop();
}

#[test]
fn an_alternative_name_is_the_name_where_the_listener_says_so() {
    let tls = format!("{MUTUAL}, identity = \"san\"");
    let plant = Plant::with(&tls, CERTIFICATE, "", &Launch::default());
    let alt_names = [San::Uri("spiffe://plant/7")];
    let issued = plant.device_ca.sign(&Leaf { common_names: &["not this"], alt_names: &alt_names, ..Leaf::default() });
    Raw::clean_over(plant.client(&issued).connect(plant.address).unwrap(), V5, "device");
    plant.gateway.expect_log(&[": connected ", "user=\"spiffe://plant/7\""]);
    let nameless = plant.device_ca.sign(&Leaf { common_names: &["a name"], ..Leaf::default() });
    let mut stream = Raw::over(plant.client(&nameless).connect(plant.address).unwrap(), V5);
    assert_eq!(stream.expect_close(), []);
    plant.gateway.expect_log(&["no TLS connection", "names nobody", "subjectAltName"]);
}

#[test]
fn without_client_ca_a_device_needs_no_certificate_and_has_no_name() {
    let plant = Plant::with("", "", "", &Launch::default());
    let mut device = Raw::clean_over(Client::new(&plant.server_ca).connect(plant.address).unwrap(), V4, "device");
    device.publish("t", "x", 1);
    plant.gateway.expect_log(&[": connected ", "client=\"device\""]);
    assert_eq!(plant.gateway.log().count(|line| line.contains("user=\"")), 0);
}

#[test]
fn a_device_may_ask_for_mqtt_by_alpn_and_for_nothing_else() {
    let plant = Plant::with("", "", "", &Launch::default());
    for name in ["mqtt", "x-amzn-mqtt-ca"] {
        let client = Client { alpn: &["http/1.1", name], ..Client::new(&plant.server_ca) };
        let stream = client.connect(plant.address).unwrap();
        assert_eq!(stream.conn.alpn_protocol(), Some(name.as_bytes()));
        Raw::clean_over(stream, V5, "device").leave();
    }
    let refused = Client { alpn: &["h2"], ..Client::new(&plant.server_ca) }.connect(plant.address);
    assert!(refused.is_err());
    plant.gateway.expect_log(&["no TLS connection", "ALPN"]);
}

#[test]
fn what_a_device_reads_late_reaches_it_to_the_last_byte() {
    const MESSAGES: usize = 100;
    let plant = Plant::start();
    let issued = plant.device_ca.device("late");
    let mut device = Raw::clean_over(plant.client(&issued).connect(plant.address).unwrap(), V5, "late");
    device.subscribe("t", 1);
    let mut other = Raw::clean(plant.gateway.address(), V5, "other");
    // More than the buffers of both sockets have: the writer of TLS holds a part of it back.
    let body = "x".repeat(60_000);
    (0..MESSAGES).for_each(|number| other.publish("t", &format!("{number}:{body}"), 1));
    for number in 0..MESSAGES {
        let heard = device.expect_delivery();
        assert!(heard.payload.starts_with(&format!("{number}:")), "{}", &heard.payload[..10]);
        device.acknowledge(&heard);
    }
    // Nothing else makes the gateway write.
    device.send(wire::PING);
    device.expect(wire::PINGRESP);
    device.leave();
    plant.gateway.stop();
}
