//! A server that sends what nobody has asked for, and one that says another thousand words each time.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::*;
use crate::message::QoS;
use crate::mqtt::Version::{V5, V311};

/// QoS 0, QoS 1, an ack, an answer.
const PACKETS: [&[u8]; 5] =
    [&[0x30, 4, 0, 1, b't', 0], &[0x32, 6, 0, 1, b't', 0, 7, 0], &[0x40, 2, 9, 9], &[0x50, 2, 9, 9], &[0xD0, 0]];

/// As fast as the pipe takes it, until the client has gone. How many packets went.
async fn flood(peer: &mut Peer, packet: &[u8]) -> usize {
    let many = packet.repeat(100);
    for n in 0..10_000 {
        if timeout(Duration::from_secs(1), peer.send_all(&many)).await != Ok(true) {
            return n * 100;
        }
    }
    panic!("it listens for ever");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_floods_is_left_and_asked_again_after_a_while() {
    for packet in PACKETS {
        let mut bench = Bench::new(V5);
        let start = Instant::now();
        for n in 0..10 {
            let (mut peer, clean) = bench.welcome(false).await;
            assert!(!clean);
            let sent = flood(&mut peer, packet).await;
            assert!((4_000..100_000).contains(&sent), "{packet:?}: {sent} in connection {n}");
        }
        assert!(start.elapsed() > Duration::from_secs(20), "{:?}", start.elapsed());
        let error = bench.status.borrow().last_error.clone().unwrap_or_default();
        assert!(error.contains("for which nobody asked"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_of_mqtt_5_is_told_why_and_messages_go_on_between_floods() {
    for protocol in [V311, V5] {
        let mut bench = Bench::new(protocol);
        bench.commit(QoS::AtLeastOnce, "a");
        let (mut peer, _) = bench.welcome(false).await;
        let (id, ..) = peer.publish().await;
        peer.puback(id).await;
        bench.drained().await;
        peer.send(&PACKETS[4].repeat(5_000)).await;
        let expected = if protocol == V5 { Heard::Disconnect } else { Heard::Gone };
        assert_eq!(peer.hear().await, expected);
        bench.commit(QoS::AtLeastOnce, "b");
        let (mut peer, _) = bench.welcome(true).await;
        let (id, ..) = peer.publish().await;
        peer.puback(id).await;
        bench.drained().await;
    }
}

/// What a session of an earlier user of the client id may have left.
#[tokio::test(start_paused = true)]
async fn a_thousand_messages_and_a_few_acks_too_many_are_no_flood() {
    let mut bench = Bench::new(V5);
    let (mut peer, _) = bench.welcome(false).await;
    peer.send(&PACKETS[0].repeat(1_000)).await;
    peer.send(&PACKETS[2].repeat(1_000)).await;
    peer.send(&PACKETS[4].repeat(100)).await;
    bench.commit(QoS::AtLeastOnce, "a");
    let (id, ..) = peer.publish().await;
    peer.puback(id).await;
    bench.drained().await;
    assert_eq!(bench.status.borrow().attempts, 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_server_says_at_length_is_cut_in_the_status_and_in_letters() {
    let mut bench = Bench::new(V5);
    ["bad", "good", "good too"].iter().for_each(|text| bench.commit(QoS::AtLeastOnce, text));
    let words = "x".repeat(60_000);
    let length = (words.len() as u16).to_be_bytes();
    // DISCONNECT 0x99 with a reason string.
    let properties = [&[0x1F], &length[..], words.as_bytes()].concat();
    let body = [&[0x99, 0xE3, 0xD4, 3][..], &properties].concat();
    let farewell = [&[0xE0, 0xE7, 0xD4, 3][..], &body].concat();
    let mut connections = 0;
    while bench.letters.all().is_empty() {
        let (mut peer, _) = bench.welcome(connections > 0).await;
        connections += 1;
        loop {
            match peer.hear().await {
                Heard::Publish { text, .. } if text == "bad" => break peer.send(&farewell).await,
                Heard::Publish { id, .. } => peer.puback(id).await,
                Heard::PingReq => peer.send(&[0xD0, 0]).await,
                _ => break,
            }
        }
        assert_eq!(peer.hear_the_end().await, Heard::Gone);
        let error = bench.status.borrow().last_error.clone().unwrap_or_default();
        assert!(
            error.contains("Payload format invalid (0x99)") && error.len() < 1_300,
            "{}: {error:.200}",
            error.len()
        );
    }
    let letter = bench.letters.all().remove(0);
    assert!(letter.reason.contains("0x99") && letter.reason.len() < 1_300, "{}", letter.reason.len());
}
