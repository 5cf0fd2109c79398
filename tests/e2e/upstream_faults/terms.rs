//! Terms of the server: that change while it keeps our session, and that nobody can keep.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use tidegate_tests::chaos::{Fault, Proxy};
use tidegate_tests::gateway::{Gateway, Home, Launch};
use tidegate_tests::mosquitto::Mosquitto;
use tidegate_tests::raw::Raw;
use tidegate_tests::upstream::Upstream;
use tidegate_tests::wire::{V5, publish};

use super::{Line, Load, config};

#[test]
fn a_mosquitto_that_is_restarted_with_lower_terms_gets_what_was_open_at_those() {
    let mut broker = Mosquitto::start();
    let proxy = Proxy::to(broker.address());
    let gateway = Gateway::start(&config("cloud", &proxy.upstream("cloud", 5), ""));
    let mut load = Load::new(&gateway, "cloud", 2);
    load.send(30);
    gateway.expect_count("forwarded", 30);
    // What is sent from now on is in flight, and stays there.
    proxy.set(Fault::HalfOpen);
    load.send(30);
    broker.restart_with("max_qos 1\nretain_available false\n");
    proxy.set(Fault::Refuse);
    proxy.heal();
    gateway.expect_count("forwarded", 60);
    gateway.expect_log(&["this server takes QoS 1 at most"]);
    assert_eq!(gateway.log().count(|line| line.contains("QoS not supported")), 0);
    gateway.stop();
}

#[test]
fn the_wrong_ack_is_an_ack_and_many_windows_of_them_stop_nothing() {
    const EACH: usize = 1_500;
    for protocol in [4, 5] {
        let upstream = Upstream::start();
        upstream.mix_acks();
        let gateway = Gateway::start(&config("cloud", &upstream.config(protocol), ""));
        let mut loads = [1, 2].map(|qos| Load::new(&gateway, "cloud", qos));
        loads.iter_mut().for_each(|load| load.send(EACH));
        gateway.expect_count("forwarded", 2 * EACH);
        let arrived = upstream.arrivals().len();
        assert_eq!(arrived, 2 * EACH, "none is sent again");
        gateway.stop();
    }
}

#[test]
fn a_first_address_that_lets_us_in_and_acknowledges_nothing_is_left_for_the_second() {
    let [first, second] = [Upstream::start(), Upstream::start()];
    first.hold_acks(true);
    let urls = format!("url = [\"mqtt://{}\", \"mqtt://{}\"]", first.address(), second.address());
    let more = "failback = \"1h\"\nack_timeout = \"1s\"";
    let gateway = Gateway::start(&config("cloud", &format!("[upstreams.cloud]\n{urls}\n"), more));
    let mut loads = [1, 2].map(|qos| Load::new(&gateway, "cloud", qos));
    loads.iter_mut().for_each(|load| load.send(100));
    second.wait_for(200);
    gateway.expect_count("forwarded", 200);
    gateway.stop();
}

#[test]
fn a_server_of_qos_0_gets_what_was_acknowledged_although_a_connection_swallows_it() {
    let line = Line::to("cloud", Upstream::taking_qos(0));
    let gateway = Gateway::start(&line.config(5, "keep_alive = \"1s\"\nconnect_timeout = \"1s\""));
    let mut loads = [1, 2].map(|qos| Load::new(&gateway, "cloud", qos));
    loads.iter_mut().for_each(|load| load.send(30));
    line.upstream.wait_for(60);
    line.proxy.set(Fault::Blackhole);
    loads.iter_mut().for_each(|load| load.send(30));
    gateway.expect_log(&["nothing heard from the upstream"]);
    line.proxy.heal();
    loads.iter().for_each(|load| assert!(line.judge(load).lost.is_empty()));
    gateway.expect_count("forwarded", 120);
    gateway.stop();
}

#[test]
fn a_kill_between_the_proof_and_the_end_of_a_message_sends_it_again() {
    let upstream = Upstream::taking_qos(0);
    let home = Arc::new(Home::new(&config("cloud", &upstream.config(5), "")));
    let gateway = Gateway::launch(&home, &Launch::failing("egress.proven=return"));
    let mut device = Raw::clean(gateway.address(), V5, "device");
    device.send(&publish(V5, "cloud/1", "x").qos(1, 7).encode());
    assert!(!gateway.wait_for_end().success());
    let gateway = Gateway::launch(&home, &Launch::default());
    gateway.expect_count("forwarded", 1);
    assert_eq!(upstream.count(), 2, "sent by both");
    gateway.stop();
}

/// Lets everybody in with these properties in its CONNACK, and then only listens.
fn welcoming_with(properties: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of the loopback interface");
    let address = listener.local_addr().expect("a bound socket has an address");
    thread::spawn(move || {
        let mut welcomed = Vec::new();
        for mut stream in listener.incoming().flatten() {
            let length = u8::try_from(properties.len()).expect("some bytes");
            let connack = [&[0x20, 3 + length, 0, 0, length], properties].concat();
            // Whoever has left already needs no welcome.
            let _ = stream.write_all(&connack);
            welcomed.push(stream);
        }
    });
    address
}

#[test]
fn an_address_whose_terms_nobody_can_keep_is_passed_over() {
    for (properties, says) in [
        (&[0x27, 0, 0, 0, 0][..], "Maximum Packet Size of 0"),
        (&[0x27, 0, 0, 0, 1], "Maximum Packet Size of 1"),
        (&[0x21, 0, 0], "Receive Maximum of 0"),
    ] {
        let (first, second) = (welcoming_with(properties), Upstream::start());
        let urls = format!("url = [\"mqtt://{first}\", \"mqtt://{}\"]", second.address());
        let gateway = Gateway::start(&config("cloud", &format!("[upstreams.cloud]\n{urls}\n"), "failback = \"1h\""));
        let mut loads = [1, 2].map(|qos| Load::new(&gateway, "cloud", qos));
        loads.iter_mut().for_each(|load| load.send(50));
        gateway.expect_log(&[says]);
        second.wait_for(100);
        gateway.expect_count("forwarded", 100);
        assert_eq!(gateway.stop()["oversize"], 0);
    }
}
