//! A server that sends us to another one (MQTT 5, section 4.11).

use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::message::QoS;
use crate::mqtt::Version::V5;

fn reference(to: &str) -> Vec<u8> {
    [&[0x1C, 0, to.len() as u8], to.as_bytes()].concat()
}

async fn refuse(peer: &mut Peer, reason: u8, to: &str) {
    assert!(matches!(peer.hear().await, Heard::Connect { .. }));
    let properties = reference(to);
    let length = properties.len() as u8;
    peer.send(&[&[0x20, 3 + length, 0, reason, length][..], &properties].concat()).await;
}

#[tokio::test(start_paused = true)]
async fn another_server_that_is_named_is_gone_to_once() {
    for reason in [0x9C, 0x9D] {
        let mut bench = Bench::new(V5);
        bench.commit(QoS::AtLeastOnce, "a");
        let mut peer = bench.accept().await;
        refuse(&mut peer, reason, "second:1884").await;
        // It sends us further: nobody goes there.
        let mut peer = bench.accept().await;
        assert_eq!(peer.host, "second");
        refuse(&mut peer, reason, "third").await;
        let mut peer = bench.accept().await;
        assert_eq!(peer.host, "first");
        refuse(&mut peer, reason, "second:1884").await;
        let (mut peer, _) = bench.welcome(false).await;
        let (id, ..) = peer.publish().await;
        let url = bench.status.borrow().url.clone();
        assert_eq!((peer.host.as_str(), url), ("second", Some("mqtt://second:1884".into())));
        peer.puback(id).await;
        bench.drained().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_disconnect_may_name_one_and_the_session_there_is_gone_on_with() {
    let mut bench = Bench::new(V5);
    bench.commit(QoS::ExactlyOnce, "a");
    let (mut peer, _) = bench.welcome(false).await;
    let properties = reference("second");
    let length = properties.len() as u8;
    let farewell = [&[0xE0, 2 + length, 0x9C, length][..], &properties].concat();
    assert_eq!(peer.publish().await.2, "a");
    peer.send(&farewell).await;
    // Another server: what was open begins again.
    let (mut peer, _) = bench.welcome(false).await;
    assert_eq!(peer.host, "second");
    let (id, dup, _) = peer.publish().await;
    assert!(!dup);
    drop(peer);
    let mut first = bench.accept().await;
    assert_eq!(first.host, "first");
    refuse(&mut first, 0x9C, "second").await;
    let (mut peer, clean) = bench.welcome(true).await;
    assert_eq!((peer.host.as_str(), clean), ("second", false));
    assert_eq!(peer.hear().await, publish(id, true, 2, "a"));
    finish_qos_2(&mut peer, id).await;
    bench.drained().await;
}

#[tokio::test(start_paused = true)]
async fn two_servers_that_name_each_other_are_asked_no_more_often_than_one_that_refuses() {
    let mut bench = Bench::new(V5);
    let asked = async {
        for _ in 0..1_000 {
            let mut peer = bench.accept().await;
            let other = if peer.host == "first" { "second" } else { "first" };
            refuse(&mut peer, 0x9C, other).await;
        }
    };
    assert!(timeout(Duration::from_secs(600), asked).await.is_err(), "a thousand in ten minutes");
}

#[tokio::test(start_paused = true)]
async fn a_reference_to_nobody_costs_an_attempt_and_not_the_session() {
    let mut bench = Bench::new(V5);
    bench.set_down("second", true);
    bench.commit(QoS::ExactlyOnce, "a");
    let (mut peer, _) = bench.welcome(false).await;
    let (id, ..) = peer.publish().await;
    drop(peer);
    let mut peer = bench.accept().await;
    refuse(&mut peer, 0x9C, "second").await;
    let (mut peer, clean) = bench.welcome(true).await;
    assert_eq!((peer.host.as_str(), clean), ("first", false));
    assert_eq!(peer.hear().await, publish(id, true, 2, "a"));
    finish_qos_2(&mut peer, id).await;
    bench.drained().await;
    assert_eq!(bench.counters.totals().possible_duplicates, 0);
}
