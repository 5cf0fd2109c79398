//! Several addresses: over to the next, back to the first, and one session at a time.

use std::time::Duration;

use super::peer::{address, spec};
use super::*;
use crate::config::Upstream;
use crate::message::QoS;
use crate::mqtt::Version;
use crate::mqtt::Version::{V5, V311};

const FAILBACK: Duration = Duration::from_secs(60);

fn two(protocol: Version) -> Bench {
    let addresses = vec![address("first"), address("second")];
    // What is in flight here stays so for longer than an ack may take.
    let ack_timeout = 10 * FAILBACK;
    Bench::with(Upstream { addresses, failback: FAILBACK, ack_timeout, ..spec(protocol) })
}

/// Lets a connection in that must be to this host.
async fn welcome_at(bench: &mut Bench, host: &str, session_present: bool) -> Peer {
    let (peer, _) = bench.welcome(session_present).await;
    assert_eq!(peer.host, host);
    peer
}

/// The first is away, and the second has a QoS 2 message "a", with this identifier, that it has not answered.
async fn in_flight_at_the_second() -> (Bench, Peer, u16) {
    let mut bench = two(V5);
    bench.set_down("first", true);
    bench.commit(QoS::ExactlyOnce, "a");
    let mut peer = welcome_at(&mut bench, "second", false).await;
    let (id, ..) = peer.publish().await;
    (bench, peer, id)
}

/// The short connection that looks whether the first address answers.
async fn answer_probe(bench: &mut Bench) {
    let (mut probe, clean) = bench.welcome(false).await;
    assert_eq!((probe.hear().await, clean, probe.host.as_str()), (Heard::Disconnect, true, "first"));
}

#[tokio::test(start_paused = true)]
async fn the_next_address_is_tried_at_once_when_one_refuses_and_the_status_says_which_is_in_use() {
    let mut bench = two(V5);
    bench.set_down("first", true);
    let start = tokio::time::Instant::now();
    let _peer = welcome_at(&mut bench, "second", false).await;
    bench.status.wait_for(|status| status.connected).await.unwrap();
    assert!(start.elapsed() < Duration::from_millis(50), "no wait within a round");
    let status = bench.status.borrow().clone();
    assert_eq!((status.url.as_deref(), status.attempts), (Some("mqtt://second:1883"), 2));
}

#[tokio::test(start_paused = true)]
async fn what_was_open_at_the_first_is_sent_again_at_the_second_and_qos_2_is_counted() {
    for protocol in [V311, V5] {
        let mut bench = two(protocol);
        bench.commit(QoS::ExactlyOnce, "a");
        bench.commit(QoS::ExactlyOnce, "b");
        let mut peer = welcome_at(&mut bench, "first", false).await;
        let (id, ..) = peer.publish().await;
        peer.publish().await;
        peer.pubrec(id).await;
        assert_eq!(peer.hear().await, Heard::PubRel(id));
        bench.set_down("first", true);
        drop(peer);

        let mut peer = welcome_at(&mut bench, "second", false).await;
        let begun = [peer.publish().await, peer.publish().await];
        for ((id, dup, heard), text) in begun.into_iter().zip(["a", "b"]) {
            assert_eq!((heard.as_str(), dup), (text, false), "nothing was ever sent here");
            finish_qos_2(&mut peer, id).await;
        }
        bench.drained().await;
        assert_eq!((bench.counters.totals().possible_duplicates, bench.counters.totals().forwarded), (2, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_address_that_comes_back_before_the_second_let_us_in_still_has_the_session() {
    let mut bench = two(V5);
    bench.commit(QoS::ExactlyOnce, "a");
    let mut peer = welcome_at(&mut bench, "first", false).await;
    let (id, ..) = peer.publish().await;
    peer.pubrec(id).await;
    assert_eq!(peer.hear().await, Heard::PubRel(id));
    bench.set_down("first", true);
    bench.set_down("second", true);
    drop(peer);
    let attempts = bench.status.borrow().attempts;
    bench.status.wait_for(|status| status.attempts > attempts + 4).await.unwrap();
    bench.set_down("first", false);
    let mut peer = welcome_at(&mut bench, "first", true).await;
    assert_eq!(peer.hear().await, Heard::PubRel(id));
    peer.pubcomp(id).await;
    bench.drained().await;
    assert_eq!(bench.counters.totals().possible_duplicates, 0);
}

#[tokio::test(start_paused = true)]
async fn going_back_finishes_what_is_in_flight_first_and_takes_nothing_new() {
    let (mut bench, mut peer, id) = in_flight_at_the_second().await;
    bench.set_down("first", false);
    // Acks are slow, but the connection lives: the probe comes while this exchange is open.
    answer_probe_while(&mut bench, &mut peer).await;
    bench.commit(QoS::AtLeastOnce, "b");
    finish_qos_2(&mut peer, id).await;
    assert_eq!(peer.hear().await, Heard::Disconnect, "not another PUBLISH");

    // Of an earlier visit. Ours is what the spool knows, and it is elsewhere: cleared.
    let mut peer = clear(&mut bench).await;
    assert_eq!(peer.host, "first");
    assert_eq!(peer.publish().await.2, "b");
    assert_eq!(bench.counters.totals().possible_duplicates, 0);
}

/// Answers the pings of the working connection until the probe has come.
async fn answer_probe_while(bench: &mut Bench, peer: &mut Peer) {
    let probe = answer_probe(bench);
    let pings = async {
        loop {
            assert_eq!(peer.hear().await, Heard::PingReq);
            peer.send(&[0xD0, 0]).await;
        }
    };
    tokio::select! {
        () = probe => {}
        () = pings => {}
    }
}

#[tokio::test(start_paused = true)]
async fn exchanges_that_do_not_end_keep_us_where_we_are() {
    let (mut bench, mut peer, id) = in_flight_at_the_second().await;
    bench.set_down("first", false);
    answer_probe_while(&mut bench, &mut peer).await;
    bench.commit(QoS::AtLeastOnce, "b");
    // It comes after the grace time: this is still the connection.
    let mut next = peer.hear().await;
    while next == Heard::PingReq {
        peer.send(&[0xD0, 0]).await;
        next = peer.hear().await;
    }
    assert!(matches!(&next, Heard::Publish { text, .. } if text == "b"), "{next:?}");
    finish_qos_2(&mut peer, id).await;
    assert!(bench.status.borrow().connected);
}

#[tokio::test(start_paused = true)]
async fn a_first_address_that_answers_and_does_not_take_us_costs_no_session() {
    let (mut bench, mut peer, id) = in_flight_at_the_second().await;
    bench.set_down("first", false);
    answer_probe_while(&mut bench, &mut peer).await;
    bench.set_down("first", true);
    finish_qos_2(&mut peer, id).await;
    assert_eq!(peer.hear().await, Heard::Disconnect);
    bench.commit(QoS::ExactlyOnce, "b");
    let mut peer = welcome_at(&mut bench, "second", true).await;
    let (id, dup, _) = peer.publish().await;
    assert!(!dup);
    finish_qos_2(&mut peer, id).await;
    bench.drained().await;
    assert_eq!(bench.counters.totals().possible_duplicates, 0);
}

#[tokio::test(start_paused = true)]
async fn a_new_process_begins_where_the_session_is() {
    let (bench, _peer, id) = in_flight_at_the_second().await;
    let mut bench = bench.crash("gw").await;
    let mut peer = welcome_at(&mut bench, "second", true).await;
    assert_eq!(peer.hear().await, publish(id, true, 2, "a"));
    finish_qos_2(&mut peer, id).await;
    bench.drained().await;
    assert_eq!(bench.counters.totals().possible_duplicates, 0);
}
