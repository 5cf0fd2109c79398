//! A server that says nothing, that says no, and that says what nobody asked for.

use std::time::Duration;

use super::peer::KEEP_ALIVE;
use super::*;
use crate::mqtt::Version::{self, V5, V311};

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_asked_and_then_left_within_one_and_a_half_keep_alives() {
    let mut bench = Bench::new(V5);
    let (mut peer, _) = bench.welcome(false).await;
    let start = tokio::time::Instant::now();
    assert_eq!(peer.hear().await, Heard::PingReq);
    assert!(start.elapsed() < KEEP_ALIVE);
    assert_eq!(peer.hear().await, Heard::Gone);
    assert!(start.elapsed() <= KEEP_ALIVE.mul_f64(1.5) + Duration::from_millis(10));
    bench.accept().await;
    let error = bench.status.borrow().last_error.clone();
    assert!(error.is_some_and(|error| error.contains("nothing heard")));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_sets_another_keep_alive_and_falls_silent_is_left_as_soon_as_any_other() {
    for servers in [0_u16, 1, 65_535] {
        let mut bench = Bench::new(V5);
        let mut peer = bench.accept().await;
        peer.hear().await;
        let [high, low] = servers.to_be_bytes();
        peer.connack_with(false, &[0x13, high, low]).await;
        let start = tokio::time::Instant::now();
        assert_eq!(peer.hear().await, Heard::PingReq);
        if servers == 1 {
            assert!(start.elapsed() < Duration::from_secs(1), "what the server wants to hear is its own");
        }
        assert_eq!(peer.hear().await, Heard::Gone);
        let silence = KEEP_ALIVE.mul_f64(1.5);
        assert!(start.elapsed() >= silence && start.elapsed() <= silence + Duration::from_millis(10), "{servers}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_pings_is_kept() {
    let mut bench = Bench::new(V5);
    let (mut peer, _) = bench.welcome(false).await;
    for _ in 0..5 {
        assert_eq!(peer.hear().await, Heard::PingReq);
        peer.send(&[0xD0, 0]).await;
    }
    assert!(bench.status.borrow().connected);
    assert_eq!(bench.status.borrow().attempts, 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_connect_is_left_at_the_timeout() {
    let mut bench = Bench::new(V5);
    let mut silent = bench.accept().await;
    silent.hear().await;
    let (_peer, _) = bench.welcome(false).await;
    assert_eq!(silent.hear().await, Heard::Gone);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_why_and_what_to_check_and_is_tried_again() {
    for (protocol, answer) in [(V311, &[0x20, 2, 0, 5][..]), (V5, &[0x20, 3, 0, 0x87, 0][..])] {
        let mut bench = Bench::new(protocol);
        let mut peer = bench.accept().await;
        peer.hear().await;
        peer.send(answer).await;
        bench.status.wait_for(|status| status.last_error.is_some()).await.unwrap();
        let error = bench.status.borrow().last_error.clone().unwrap();
        assert!(error.contains("Not authorized") && error.contains("access rules"), "{error}");
        bench.welcome(false).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_servers_goodbye_is_told() {
    let mut bench = Bench::new(V5);
    let (mut peer, _) = bench.welcome(false).await;
    peer.send(&[0xE0, 1, 0x8E]).await;
    bench.status.wait_for(|status| status.last_error.is_some()).await.unwrap();
    let error = bench.status.borrow().last_error.clone().unwrap();
    assert!(error.contains("Session taken over") && error.contains("its own"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_unexpected_publish_is_acknowledged_by_the_rules() {
    let mut bench = Bench::new(V311);
    let (mut peer, _) = bench.welcome(false).await;
    peer.send(&[0x32, 5, 0, 1, b't', 0, 8, 0x34, 5, 0, 1, b't', 0, 9, 0x62, 2, 0, 9]).await;
    assert_eq!(peer.hear().await, Heard::PubAck(8));
    assert_eq!(peer.hear().await, Heard::PubRec(9));
    assert_eq!(peer.hear().await, Heard::PubComp(9));
}

#[tokio::test(start_paused = true)]
async fn a_server_of_the_other_version_is_found_out_however_it_refuses_us() {
    // In 3.1.1's words, in those of MQTT 5 alone, by letting us in without properties, by closing, by saying nothing.
    let answers: [(Version, &[u8], &str); 5] = [
        (V5, &[0x20, 2, 0, 1], "set the other `protocol`"),
        (V5, &[0x20, 2, 0, 0], "set the other `protocol`"),
        (V311, &[0x20, 3, 0, 0x84, 0], "set the other `protocol`"),
        (V5, &[], "set `protocol = 4`"),
        (V311, &[], "set `protocol = 5`"),
    ];
    for (protocol, answer, advice) in answers {
        let mut bench = Bench::new(protocol);
        let mut peer = bench.accept().await;
        peer.hear().await;
        peer.send(answer).await;
        drop(peer);
        bench.status.wait_for(|status| status.last_error.is_some()).await.unwrap();
        let error = bench.status.borrow().last_error.clone().unwrap();
        assert!(error.contains(advice), "{answer:02x?}: {error}");
    }
    for (protocol, advice) in [(V5, "set `protocol = 4`"), (V311, "set `protocol = 5`")] {
        let mut bench = Bench::new(protocol);
        let mut silent = bench.accept().await;
        silent.hear().await;
        bench.status.wait_for(|status| status.last_error.is_some()).await.unwrap();
        let error = bench.status.borrow().last_error.clone().unwrap();
        assert!(error.contains(advice), "{error}");
    }
}
