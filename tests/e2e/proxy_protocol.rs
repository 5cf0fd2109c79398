//! A gateway behind a load balancer: where its devices come from. Scripted headers, and a real haproxy.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use tidegate_tests::eventually::{SOON, eventually, soon};
use tidegate_tests::gateway::Gateway;
use tidegate_tests::ports;
use tidegate_tests::process::Process;
use tidegate_tests::raw::{Next, Raw};
use tidegate_tests::websocket::WebSocket;
use tidegate_tests::wire::{self, Connect, V5};

const BEHIND: &str = "[broker.listeners.behind]\nbind = \"127.0.0.1:0\"\nproxy_protocol = true\n";

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// From 203.0.113.7:49153.
fn header(command: u8) -> Vec<u8> {
    [SIGNATURE, &[command, 0x11, 0, 12, 203, 0, 113, 7, 10, 0, 0, 1, 0xC0, 1, 0x07, 0x5B]].concat()
}

fn connects(device: &mut Raw, client: &str) {
    device.send(&Connect::new(V5, client).encode());
    assert_eq!(device.expect(wire::CONNACK).reason(), 0);
}

#[test]
fn the_address_of_a_device_is_what_the_header_says() {
    let gateway = Gateway::start(BEHIND);
    let behind = gateway.listener("behind");
    let text = b"PROXY TCP6 2001:db8::9 2001:db8::1 50000 1883\r\n".to_vec();
    for (client, header, address) in [("v2", header(0x21), "203.0.113.7:49153"), ("v1", text, "[2001:db8::9]:50000")] {
        let mut device = Raw::open(behind, V5);
        for byte in header {
            device.send(&[byte]);
        }
        connects(&mut device, client);
        gateway.expect_log(&[&format!("peer={address} "), &format!("client={client:?}"), "connected"]);
    }
    // The load balancer itself speaks, and has its own address.
    let mut device = Raw::open(behind, V5);
    device.send(&header(0x20));
    connects(&mut device, "local");
    gateway.expect_log(&[&format!("peer={} ", device.local_address()), "client=\"local\"", "connected"]);
    gateway.stop();
}

#[test]
fn a_device_without_the_header_is_closed_and_the_log_says_what_to_do() {
    let gateway = Gateway::start(BEHIND);
    let mut device = Raw::open(gateway.listener("behind"), V5);
    device.send(&Connect::new(V5, "a device that comes by itself").encode());
    assert!(device.expect_close().is_empty());
    gateway.expect_log(&["listener=behind", "no PROXY protocol header comes first, but MQTT", "send-proxy-v2"]);
    let mut device = Raw::open(gateway.listener("behind"), V5);
    device.send(&[SIGNATURE, b"\x21\x11\xFF\xFF"].concat());
    assert!(device.expect_close().is_empty());
    gateway.expect_log(&["listener=behind", "a PROXY protocol header of more than 4 KiB"]);
    gateway.stop();
}

#[test]
fn only_load_balancers_that_are_named_may_say_where_somebody_comes_from() {
    let gateway = Gateway::start(&format!("{BEHIND}proxy_from = [\"127.0.0.2\", \"127.0.1.0/24\"]\n"));
    let from = |source: [u8; 4]| {
        let mut device = Raw::open_from(source.into(), gateway.listener("behind"), V5).expect("a listener");
        device.send(&[header(0x21), Connect::new(V5, "device").encode()].concat());
        device.next(SOON)
    };
    for balancer in [[127, 0, 0, 2], [127, 0, 1, 9]] {
        assert!(matches!(from(balancer), Next::Packet(_)), "{balancer:?}");
    }
    for stranger in [[127, 0, 0, 1], [127, 0, 2, 1]] {
        assert_eq!(from(stranger), Next::Closed, "{stranger:?}");
        let peer = format!("peer={}:", std::net::IpAddr::from(stranger));
        gateway.expect_log(&["connection refused", "not in `proxy_from`", &peer, "listener=behind"]);
    }
    gateway.stop();
}

#[test]
fn a_header_that_nobody_expects_is_called_one() {
    let gateway = Gateway::start("");
    for header in [header(0x21), b"PROXY TCP4 203.0.113.7 10.0.0.1 49153 1883\r\n".to_vec()] {
        let mut device = Raw::open(gateway.address(), V5);
        device.send(&header);
        assert!(device.expect_close().is_empty());
    }
    gateway.expect_log_times(
        2,
        &["connection refused", "a load balancer sends a PROXY protocol header", "proxy_protocol = true"],
    );
    gateway.stop();
}

#[test]
fn a_header_that_does_not_end_is_waited_for_until_the_deadline_of_the_handshake() {
    let gateway = Gateway::start(&format!("{BEHIND}[broker.limits]\nhandshake_timeout = \"1s\"\n"));
    for half in [&b""[..], b"PROXY ", &header(0x21)[..20]] {
        let mut device = Raw::open(gateway.listener("behind"), V5);
        device.send(half);
        assert_eq!(device.next(Duration::from_secs(20)), Next::Closed);
    }
    gateway.expect_log_times(3, &["no PROXY protocol header within broker.limits.handshake_timeout"]);
    gateway.stop();
}

#[test]
fn limits_of_an_address_are_those_of_the_address_in_the_header() {
    let gateway = Gateway::start(&format!("{BEHIND}[broker.limits]\nmax_connections_per_address = 1\n"));
    let come = |last: u8, client: &str| {
        let mut device = Raw::open(gateway.listener("behind"), V5);
        let mut header = header(0x21);
        header[19] = last;
        device.send(&[header, Connect::new(V5, client).encode()].concat());
        match device.next(SOON) {
            Next::Packet(_) => Some(device),
            Next::Closed => None,
            Next::Silence => panic!("neither let in nor closed"),
        }
    };
    let _places: Vec<Raw> = (1..=3).map(|last| come(last, &format!("c{last}")).expect("its own place")).collect();
    assert!(come(2, "one more").is_none());
    gateway.expect_log(&["max_connections_per_address", "peer=203.0.113.2:49153", "listener=behind"]);
    gateway.stop();
}

#[test]
fn a_websocket_may_stand_behind_a_load_balancer() {
    let gateway = Gateway::start(&format!("{BEHIND}transport = \"websocket\"\n"));
    let mut stream = TcpStream::connect(gateway.listener("behind")).expect("a listener");
    stream.write_all(&header(0x21)).expect("a socket");
    let mut socket = WebSocket::open_on(stream);
    socket.send_frame(tidegate_tests::websocket::BINARY, &Connect::new(V5, "page").encode());
    assert_eq!(socket.expect_packet(wire::CONNACK).reason(), 0);
    gateway.expect_log(&["peer=203.0.113.7:49153 ", "client=\"page\"", "connected"]);
    drop(socket);
    gateway.stop();
}

/// Passes connections of this port on, and looks each 100 ms whether the gateway is there, as load balancers do.
fn haproxy(gateway: SocketAddr, how: &str) -> (Process, SocketAddr, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()));
    let config = format!(
        "global\n maxconn 100\n log stderr format raw local0\ndefaults\n log global\n option log-health-checks\n mode tcp\n timeout connect 5s\n timeout client 60s\n timeout server 60s\nlisten mqtt\n bind {address}\n server gateway {gateway} {how} check inter 100ms\n"
    );
    let path = folder.path().join("haproxy.cfg");
    fs::write(&path, config).expect("a file in a temporary folder");
    let process = Process::start("haproxy", Command::new("haproxy").args(["-db", "-f"]).arg(&path));
    eventually("haproxy listens", SOON, || TcpStream::connect(address).ok());
    (process, address, folder)
}

#[test]
fn haproxy_says_where_a_device_comes_from_in_both_versions_and_its_checks_make_no_noise() {
    for how in ["send-proxy-v2", "send-proxy"] {
        let gateway = Gateway::start(BEHIND);
        let (balancer, address, _folder) = haproxy(gateway.listener("behind"), how);
        let mut device = Raw::open(address, V5);
        connects(&mut device, "device");
        gateway.expect_log(&[&format!("peer={} ", device.local_address()), "client=\"device\"", "connected"]);
        device.publish("t", "through haproxy", 2);
        device.leave();
        soon("haproxy has looked", || balancer.err().count(|line| line.contains("Health check")) > 0);
        assert_eq!(gateway.log().count(|line| line.contains("connection refused")), 0, "{how}");
        gateway.stop();
    }
}
