//! Handshakes that do not come to an end.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;

use tidegate_tests::eventually::SOON;
use tidegate_tests::gateway::Launch;
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::V5;

use super::{CERTIFICATE, MUTUAL, Plant};

/// The beginning of a ClientHello: a record of 512 bytes, of which nearly nothing comes.
const BEGINNING: &[u8] = &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC, 0x03, 0x03];

#[test]
fn a_slow_handshake_delays_nobody_and_ends_at_the_deadline() {
    const SLOW: usize = 100;
    let limits = "[broker.limits]\nhandshake_timeout = \"10s\"\n";
    let plant = Plant::with(MUTUAL, CERTIFICATE, limits, &Launch::default());
    let open = |_| {
        let mut stream = TcpStream::connect(plant.address).unwrap();
        stream.write_all(BEGINNING).unwrap();
        stream
    };
    let slow: Vec<TcpStream> = (0..SLOW).map(open).collect();
    for number in 0..20 {
        let issued = plant.device_ca.device(&format!("honest-{number}"));
        let mut device = Raw::clean_over(plant.client(&issued).connect(plant.address).unwrap(), V5, "honest");
        device.publish("t", "x", 1);
        device.leave();
    }
    assert_eq!(plant.count("tls_late_total"), 0, "honest devices were let in before the first deadline");
    for mut stream in slow {
        stream.set_read_timeout(Some(SOON)).unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    }
    plant.expect_count("tls_late_total", SLOW as u64);
    plant.gateway.expect_log(&["no TLS connection", "handshake_timeout"]);
    plant.gateway.stop();
}

#[test]
fn connections_in_their_handshake_count_among_the_connections() {
    let limits = "[broker.limits]\nmax_connections = 3\nhandshake_timeout = \"60s\"\n";
    let plant = Plant::with(MUTUAL, CERTIFICATE, limits, &Launch::default());
    let silent: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(plant.address).unwrap()).collect();
    plant.expect_count("connections", 3);
    let issued = plant.device_ca.device("one too many");
    assert!(plant.client(&issued).connect(plant.address).is_err());
    plant.gateway.expect_log(&["broker.limits.max_connections is reached"]);
    drop(silent);
    plant.expect_count("connections", 0);
    Raw::clean_over(plant.client(&issued).connect(plant.address).unwrap(), V5, "device").leave();
}

#[test]
fn many_that_come_at_once_are_all_let_in() {
    const DEVICES: usize = 60;
    let plant = Plant::start();
    let (issued, address) = (plant.device_ca.device("device"), plant.address);
    let config = plant.client(&issued).config();
    let come = |number: usize| {
        let config = config.clone();
        thread::spawn(move || {
            let stream = tidegate_tests::tls::connect(address, config).expect("a handshake");
            Raw::clean_over(stream, V5, &format!("device-{number}")).publish("t", "x", 1);
        })
    };
    let devices: Vec<_> = (0..DEVICES).map(come).collect();
    devices.into_iter().for_each(|device| device.join().expect("let in"));
    plant.expect_count("tls_handshakes_total", DEVICES as u64);
    plant.gateway.stop();
}
