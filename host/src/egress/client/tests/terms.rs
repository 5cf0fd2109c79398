//! What the server sets in CONNACK is kept.

use super::peer::{address, spec};
use super::*;
use crate::config::Upstream;
use crate::message::{Message, QoS};
use crate::mqtt::Version::{V5, V311};
use crate::topic::TopicName;

#[tokio::test(start_paused = true)]
async fn the_servers_receive_maximum_closes_the_window() {
    let mut bench = Bench::new(V5);
    ["a", "b", "c"].iter().for_each(|text| bench.commit(QoS::AtLeastOnce, text));
    let mut peer = bench.accept().await;
    peer.hear().await;
    peer.connack_with(false, &[0x21, 0, 2]).await;
    let (first, ..) = peer.publish().await;
    peer.publish().await;
    assert_eq!(peer.hear().await, Heard::PingReq, "nothing more without an ack");
    peer.puback(first).await;
    assert_eq!(peer.publish().await.2, "c");
}

#[tokio::test(start_paused = true)]
async fn towards_3_1_1_no_more_than_20_of_qos_2_are_in_flight() {
    let mut bench = Bench::with(Upstream { max_inflight: 100, ..spec(V311) });
    (0..50).for_each(|n| bench.commit(QoS::ExactlyOnce, &n.to_string()));
    let (mut peer, _) = bench.welcome(false).await;
    let mut ids = Vec::new();
    while let Heard::Publish { id, .. } = peer.hear().await {
        ids.push(id);
    }
    assert_eq!(ids.len(), 20);
}

#[tokio::test(start_paused = true)]
async fn what_the_server_does_not_offer_is_taken_off() {
    let mut bench = Bench::new(V5);
    let mut message = Message::new(TopicName::parse("t").unwrap(), "a", QoS::ExactlyOnce);
    message.retain = true;
    bench.commit_message(message);
    let mut peer = bench.accept().await;
    peer.hear().await;
    peer.connack_with(false, &[0x24, 1, 0x25, 0]).await;
    assert_eq!(peer.hear().await, publish(2, false, 1, "a"));
}

#[tokio::test(start_paused = true)]
async fn a_message_beyond_the_servers_packet_size_is_counted_and_holds_up_nobody() {
    let mut bench = Bench::new(V5);
    bench.commit(QoS::AtLeastOnce, &"x".repeat(100));
    bench.commit(QoS::AtMostOnce, &"y".repeat(100));
    bench.commit(QoS::AtLeastOnce, "b");
    let mut peer = bench.accept().await;
    peer.hear().await;
    peer.connack_with(false, &[0x27, 0, 0, 0, 50]).await;
    let (id, _, text) = peer.publish().await;
    assert_eq!(text, "b");
    peer.puback(id).await;
    bench.drained().await;
    assert_eq!(
        (bench.counters.totals().oversize, bench.counters.totals().forwarded),
        (1, 1),
        "QoS 0 is in memory only"
    );
    assert_eq!(bench.letters.texts(), ["x".repeat(100)], "what may be acknowledged is kept");
    assert_eq!(bench.counters.totals().never_sendable, 0);
}

/// Properties of a CONNACK: Maximum QoS, no retained messages.
const QOS_1: &[u8] = &[0x24, 1, 0x25, 0];
pub(super) const QOS_0: &[u8] = &[0x24, 0, 0x25, 0];
pub(super) const PINGRESP: &[u8] = &[0xD0, 0];

/// A retained QoS 2 message "a" is published and not answered; the next connection has its CONNECT read.
async fn cut_after_publish() -> (Bench, Peer, u16) {
    let mut bench = Bench::new(V5);
    let mut message = Message::new(TopicName::parse("t").unwrap(), "a", QoS::ExactlyOnce);
    message.retain = true;
    bench.commit_message(message);
    let (mut peer, _) = bench.welcome(false).await;
    let (id, ..) = peer.publish().await;
    drop(peer);
    let mut peer = bench.accept().await;
    peer.hear().await;
    (bench, peer, id)
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_again_keeps_to_terms_that_were_lowered_while_the_session_was_kept() {
    let (bench, mut peer, id) = cut_after_publish().await;
    peer.connack_with(true, QOS_1).await;
    assert_eq!(peer.hear().await, publish(id, true, 1, "a"), "QoS 1, and not retained");
    peer.puback(id).await;
    bench.drained().await;
    let counters = &bench.counters;
    assert_eq!(
        (counters.totals().forwarded, counters.totals().possible_duplicates),
        (1, 1),
        "it may have arrived at QoS 2"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_again_to_a_server_of_qos_0_is_over_when_it_has_arrived() {
    let (bench, mut peer, _) = cut_after_publish().await;
    peer.connack_with(true, QOS_0).await;
    assert_eq!(peer.hear().await, publish(0, false, 0, "a"));
    assert_eq!((peer.hear().await, bench.spool.waiting()), (Heard::PingReq, 1));
    peer.send(PINGRESP).await;
    bench.drained().await;
    assert_eq!((bench.counters.totals().forwarded, bench.counters.totals().possible_duplicates), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_new_process_keeps_to_lowered_terms_as_well() {
    let (bench, peer, id) = cut_after_publish().await;
    drop(peer);
    let mut bench = bench.crash("gw").await;
    let mut peer = bench.accept().await;
    peer.hear().await;
    peer.connack_with(true, QOS_1).await;
    assert_eq!(peer.hear().await, publish(id, true, 1, "a"));
    peer.puback(id).await;
    bench.drained().await;
    assert_eq!(bench.counters.totals().possible_duplicates, 1);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_received_is_released_whatever_the_server_takes_now() {
    let mut bench = Bench::new(V5);
    bench.commit(QoS::ExactlyOnce, "a");
    let (peer, id) = released(&mut bench).await;
    drop(peer);
    let mut peer = bench.accept().await;
    peer.hear().await;
    peer.connack_with(true, QOS_0).await;
    assert_eq!(peer.hear().await, Heard::PubRel(id));
    peer.pubcomp(id).await;
    bench.drained().await;
    assert_eq!((bench.counters.totals().forwarded, bench.counters.totals().possible_duplicates), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_address_whose_terms_nobody_can_keep_is_left_for_the_next_one_and_costs_no_message() {
    let terms: [&[u8]; 4] = [&[0x21, 0, 0], &[0x27, 0, 0, 0, 0], &[0x27, 0, 0, 0, 1], &[0x27, 0, 0, 0, 20]];
    for properties in terms {
        let mut bench = Bench::with(Upstream { addresses: vec![address("first"), address("second")], ..spec(V5) });
        bench.commit(QoS::AtLeastOnce, "a");
        let mut peer = bench.accept().await;
        assert_eq!(peer.host, "first");
        peer.hear().await;
        peer.connack_with(false, properties).await;
        let (mut second, _) = bench.welcome(false).await;
        assert_eq!((peer.hear().await, second.host.as_str()), (Heard::Gone, "second"), "{properties:?}");
        let (id, _, text) = second.publish().await;
        assert_eq!(text, "a");
        second.puback(id).await;
        bench.drained().await;
        assert_eq!((bench.counters.totals().forwarded, bench.counters.totals().oversize), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn terms_that_nobody_can_keep_are_named_in_the_status() {
    let mut bench = Bench::new(V5);
    let mut peer = bench.accept().await;
    peer.hear().await;
    peer.connack_with(false, &[0x27, 0, 0, 0, 1]).await;
    bench.status.wait_for(|status| status.last_error.is_some()).await.unwrap();
    let error = bench.status.borrow().last_error.clone().unwrap();
    assert!(error.contains("Maximum Packet Size of 1"), "{error}");
    assert!(!bench.status.borrow().connected);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_the_server_keeps_although_it_was_told_to_forget_it_is_not_used() {
    let mut bench = Bench::new(V5);
    bench.commit(QoS::ExactlyOnce, "a");
    let (mut stale, _) = bench.welcome(true).await;
    assert_eq!(stale.hear().await, Heard::Disconnect);
    let (mut clearing, clean) = bench.welcome(true).await;
    assert_eq!((clean, clearing.hear().await), (true, Heard::Disconnect));
    let (mut still, _) = bench.welcome(true).await;
    assert_eq!(still.hear().await, Heard::Disconnect, "no PUBLISH under ids of a session that is not ours");
    let mut peer = clear(&mut bench).await;
    assert_eq!(peer.publish().await.2, "a");
}
