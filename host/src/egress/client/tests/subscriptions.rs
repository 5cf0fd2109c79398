//! What an upstream sends that is subscribed to.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::peer::{ACK_TIMEOUT, spec};
use super::*;
use crate::config::{Subscription, Upstream};
use crate::message::QoS;
use crate::mqtt::SubscribeOptions;
use crate::mqtt::Version::{self, V5, V311};
use crate::topic::SharedFilter;

const BOTH: [Version; 2] = [V311, V5];

fn subscribed_to(protocol: Version, filters: &[&str]) -> Bench {
    let one = |text: &&str| Subscription {
        text: (*text).into(),
        filter: SharedFilter::parse(text).unwrap(),
        options: SubscribeOptions { qos: QoS::ExactlyOnce, ..SubscribeOptions::default() },
    };
    Bench::with(Upstream { subscribe: filters.iter().map(one).collect(), ..spec(protocol) })
}

/// A server that has granted `c/#` in a new session.
async fn granted(protocol: Version) -> (Bench, Peer) {
    let mut bench = subscribed_to(protocol, &["c/#"]);
    let (mut peer, _) = bench.welcome(false).await;
    grant(protocol, &mut peer, 2).await;
    // Until it is on disk.
    tokio::time::sleep(Duration::from_millis(10)).await;
    (bench, peer)
}

async fn grant(protocol: Version, peer: &mut Peer, code: u8) {
    let Heard::Subscribe(id, filter) = peer.hear().await else { panic!("SUBSCRIBE") };
    assert_eq!(filter, "c/#");
    peer.send(&answer(0x90, protocol, id, &[code])).await;
}

fn answer(first: u8, protocol: Version, id: u16, codes: &[u8]) -> Vec<u8> {
    let properties: &[u8] = if protocol == V5 { &[0] } else { &[] };
    let body = [&id.to_be_bytes(), properties, codes].concat();
    [&[first, body.len() as u8][..], &body].concat()
}

/// On topic `c`.
fn message(protocol: Version, qos: u8, id: u16, text: &str) -> Vec<u8> {
    let id = if qos > 0 { id.to_be_bytes().to_vec() } else { Vec::new() };
    let properties: &[u8] = if protocol == V5 { &[0] } else { &[] };
    let body = [&[0, 1, b'c'], &id[..], properties, text.as_bytes()].concat();
    [&[0x30 | qos << 1, body.len() as u8][..], &body].concat()
}

fn pubrel(id: u16) -> Vec<u8> {
    vec![0x62, 2, (id >> 8) as u8, id as u8]
}

fn received(bench: &Bench) -> u64 {
    bench.counters.totals().received
}

#[tokio::test(start_paused = true)]
async fn each_qos_is_taken_once_and_acknowledged_as_it_should_be() {
    for protocol in BOTH {
        let (bench, mut peer) = granted(protocol).await;
        for (qos, id) in [(0, 0), (1, 7), (2, 8)] {
            peer.send(&message(protocol, qos, id, "x")).await;
        }
        assert_eq!((peer.hear().await, peer.hear().await), (Heard::PubAck(7), Heard::PubRec(8)));
        // Once more, with what PUBREC has answered: the answer may have been lost.
        peer.send(&message(protocol, 2, 8, "x")).await;
        assert_eq!(peer.hear().await, Heard::PubRec(8));
        peer.send(&pubrel(8)).await;
        assert_eq!(peer.hear().await, Heard::PubComp(8));
        peer.send(&message(protocol, 2, 8, "another")).await;
        assert_eq!((peer.hear().await, received(&bench)), (Heard::PubRec(8), 4));
        assert_eq!(bench.counters.totals().republished, 4, "each has met its binding");
    }
}

#[tokio::test(start_paused = true)]
async fn an_identifier_outlives_the_process_until_it_is_released_and_no_longer() {
    for protocol in BOTH {
        let (bench, mut peer) = granted(protocol).await;
        for id in [8, 9] {
            peer.send(&message(protocol, 2, id, "x")).await;
            assert_eq!(peer.hear().await, Heard::PubRec(id));
        }
        peer.send(&pubrel(9)).await;
        assert_eq!(peer.hear().await, Heard::PubComp(9));
        drop(peer);
        let mut bench = bench.crash("gw").await;
        let (mut peer, clean) = bench.welcome(true).await;
        assert!(!clean);
        for (id, new) in [(8, 0), (9, 1)] {
            peer.send(&message(protocol, 2, id, "x")).await;
            assert_eq!((peer.hear().await, received(&bench)), (Heard::PubRec(id), new), "{protocol:?}");
        }
        peer.send(&pubrel(8)).await;
        assert_eq!(peer.hear().await, Heard::PubComp(8));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_session_has_is_asked_for_once_and_in_the_next_one_again() {
    for protocol in BOTH {
        let (mut bench, peer) = granted(protocol).await;
        drop(peer);
        let (mut peer, _) = bench.welcome(true).await;
        assert!(timeout(Duration::from_secs(1), peer.hear()).await.is_err(), "nothing is said");
        drop(peer);
        let mut bench = bench.crash("gw").await;
        let (mut peer, _) = bench.welcome(true).await;
        assert!(timeout(Duration::from_secs(1), peer.hear()).await.is_err(), "and nothing by the next process");
        assert_eq!(bench.counters.upstreams.of("cloud").subscriptions_lost.get(), 0);
        peer.send(&message(protocol, 2, 8, "x")).await;
        assert_eq!(peer.hear().await, Heard::PubRec(8));
        drop(peer);
        let (mut peer, _) = bench.welcome(false).await;
        grant(protocol, &mut peer, 2).await;
        assert_eq!(bench.counters.upstreams.of("cloud").subscriptions_lost.get(), 1);
        peer.send(&message(protocol, 2, 8, "another")).await;
        assert_eq!(
            (peer.hear().await, received(&bench)),
            (Heard::PubRec(8), 2),
            "the identifier is of another session"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_lost_leaves_no_identifier_for_the_next_process() {
    let (mut bench, mut peer) = granted(V5).await;
    peer.send(&message(V5, 2, 8, "x")).await;
    assert_eq!(peer.hear().await, Heard::PubRec(8));
    drop(peer);
    let (mut peer, _) = bench.welcome(false).await;
    grant(V5, &mut peer, 2).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    drop(peer);
    let mut bench = bench.crash("gw").await;
    let (mut peer, _) = bench.welcome(true).await;
    peer.send(&message(V5, 2, 8, "another")).await;
    assert_eq!((peer.hear().await, received(&bench)), (Heard::PubRec(8), 1));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_taken_is_answered_counted_and_holds_up_nothing() {
    for protocol in BOTH {
        let (bench, mut peer) = granted(protocol).await;
        // A wildcard in a topic, and a message that is larger than we take.
        let mut malformed = message(protocol, 1, 7, "x");
        malformed[4] = b'#';
        peer.send(&malformed).await;
        assert_eq!(peer.hear().await, Heard::PubAck(7));
        let large = [&[0x34, 0xB0, 0x09, 0, 1, b'c', 0, 8][..], &[0; 1195]].concat();
        peer.send(&large).await;
        assert_eq!(peer.hear().await, Heard::PubRec(8));
        peer.send(&message(protocol, 1, 9, "x")).await;
        assert_eq!((peer.hear().await, received(&bench)), (Heard::PubAck(9), 1));
        assert_eq!(bench.counters.upstreams.of("cloud").received_invalid.get(), 2);
        assert_eq!(bench.status.borrow().attempts, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn who_sends_without_waiting_for_acks_is_left_and_what_is_on_disk_is_acknowledged() {
    for protocol in BOTH {
        let (bench, mut peer) = granted(protocol).await;
        // Nothing is released: so many exchanges stay open.
        let many: Vec<u8> = (1..=101).flat_map(|id| message(protocol, 2, id, "x")).collect();
        peer.send(&many).await;
        let mut acknowledged = 0;
        while let Heard::PubRec(_) = peer.hear().await {
            acknowledged += 1;
        }
        let most = if protocol == V5 { 20 } else { 100 };
        assert!(acknowledged <= most && received(&bench) == most, "{acknowledged}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_subscribe_is_left_and_asked_again() {
    let mut bench = subscribed_to(V5, &["c/#"]);
    let (mut peer, _) = bench.welcome(false).await;
    let start = Instant::now();
    loop {
        match peer.hear().await {
            Heard::Subscribe(..) => {}
            Heard::PingReq => peer.send(&[0xD0, 0]).await,
            _ => break,
        }
    }
    assert!(start.elapsed() >= ACK_TIMEOUT && start.elapsed() < ACK_TIMEOUT * 2, "{:?}", start.elapsed());
    let (mut peer, _) = bench.welcome(true).await;
    grant(V5, &mut peer, 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_is_refused_is_counted_and_asked_for_again_on_the_next_connection() {
    for protocol in BOTH {
        let mut bench = subscribed_to(protocol, &["c/#"]);
        let (mut peer, _) = bench.welcome(false).await;
        grant(protocol, &mut peer, 0x80).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert_eq!(bench.counters.upstreams.of("cloud").subscriptions_refused.get(), 1);
        drop(peer);
        let (mut peer, _) = bench.welcome(true).await;
        grant(protocol, &mut peer, 2).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_suback_for_which_nobody_asked_ends_the_connection() {
    let (_bench, mut peer) = granted(V311).await;
    peer.send(&answer(0x90, V311, 1, &[2])).await;
    assert_eq!(peer.hear().await, Heard::Gone);
}
