//! Connections of one address: how many, and how fast.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate_tests::eventually::{SOON, soon};
use tidegate_tests::gateway::{Gateway, Home, Launch};
use tidegate_tests::raw::{Next, Raw};
use tidegate_tests::wire::{CONNACK, Connect, Packet, V5};

fn address(last: u8) -> IpAddr {
    IpAddr::from([127, 0, 0, last])
}

/// Whether a device of this address is let in. One that is not is closed without a word, whatever it says.
fn come(gateway: &Gateway, from: IpAddr, client: &str) -> Option<Raw> {
    let mut raw = Raw::open_from(from, gateway.address(), V5)?;
    raw.send(&Connect::new(V5, client).encode());
    match raw.next(SOON) {
        Next::Packet(connack) => {
            assert_eq!((connack.kind(), connack.reason()), (CONNACK, 0));
            Some(raw)
        }
        Next::Closed => None,
        Next::Silence => panic!("neither let in nor closed"),
    }
}

#[test]
fn an_address_with_all_its_connections_gets_no_more_and_others_are_let_in() {
    let gateway = Gateway::start("[broker.limits]\nmax_connections_per_address = 3\n");
    let mut open: Vec<Raw> = (0..3).map(|n| come(&gateway, address(2), &format!("two{n}")).expect("a place")).collect();
    assert!(come(&gateway, address(2), "two3").is_none());
    let _other = come(&gateway, address(3), "three").expect("another address has its own");
    // One that has said nothing takes a place as well.
    let _silent = Raw::open_from(address(4), gateway.address(), V5).expect("a connection");
    let _silent = [(); 2].map(|()| Raw::open_from(address(4), gateway.address(), V5).expect("a connection"));
    assert!(come(&gateway, address(4), "four").is_none());
    open.pop().expect("three").leave();
    soon("the place of one that has left is free", || come(&gateway, address(2), "two4").is_some());
    gateway.expect_log(&["max_connections_per_address", "peer=127.0.0.2", "listener=local"]);
    assert!(gateway.stop()["connections_refused"] >= 2);
}

#[test]
fn a_storm_of_one_address_is_closed_beyond_its_rate_and_delays_nobody_else() {
    const RATE: f64 = 5.0;
    let gateway = Gateway::start("[broker.limits]\nmax_new_connections_per_second = 5\n");
    let (begun, mut let_in) = (Instant::now(), 0);
    for number in 0..300 {
        let_in += usize::from(come(&gateway, address(2), &format!("storm{number}")).is_some());
        if number % 10 == 0 {
            assert!(come(&gateway, address(3 + number as u8 / 10), "honest").is_some(), "another address");
        }
    }
    // Ten seconds' worth at once, and what came meanwhile.
    let most = 10.0 * RATE + RATE * begun.elapsed().as_secs_f64() + 1.0;
    assert!(let_in >= 50 && let_in as f64 <= most, "{let_in} of 300, {most} at most");
    soon("after a while there is room for one again", || come(&gateway, address(2), "late").is_some());
    gateway.expect_log(&["max_new_connections_per_second", "peer=127.0.0.2"]);
    gateway.stop();
}

#[test]
fn without_limits_this_machine_may_come_as_often_as_it_likes() {
    let gateway = Gateway::start("");
    let let_in = (0..1_200).filter(|number| come(&gateway, address(2), &format!("c{number}")).is_some()).count();
    assert_eq!(let_in, 1_200);
    assert_eq!(gateway.stop()["connections_refused"], 0);
}

#[test]
fn more_places_than_descriptors_are_told_of_and_the_gateway_serves_what_it_has() {
    let home = Arc::new(Home::new("[broker.limits]\nmax_connections = 1000\n"));
    let under = ["prlimit", "--nofile=100:200"].map(str::to_owned).to_vec();
    let gateway = Gateway::launch(&home, &Launch { under, ..Launch::default() });
    gateway.expect_log(&["WARN", "max_connections", "LimitNOFILE=", "200 file descriptors"]);
    let open: Vec<Raw> = (0..300).map_while(|n| come(&gateway, address(2), &format!("c{n}"))).collect();
    assert!((100..200).contains(&open.len()), "{}", open.len());
    // And it can still open what it needs itself.
    let status = home.tidegate("status", &[]);
    assert_eq!(status.code, Some(0), "{status:?}");
    gateway.stop();
}

/// What was refused is not spoken to: no CONNACK, and at once.
#[test]
fn who_is_refused_is_closed_before_it_has_said_anything() {
    let gateway = Gateway::start("[broker.limits]\nmax_connections_per_address = 1\nhandshake_timeout = \"60s\"\n");
    let _first = come(&gateway, address(2), "first").expect("a place");
    let mut second = Raw::open_from(address(2), gateway.address(), V5).expect("a connection");
    let asked = Instant::now();
    let said: Vec<Packet> = second.expect_close();
    assert!(said.is_empty() && asked.elapsed() < Duration::from_secs(30), "{said:?}");
}
