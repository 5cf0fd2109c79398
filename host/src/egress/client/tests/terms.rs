//! What the server sets in CONNACK is kept.

use super::peer::spec;
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
    assert_eq!((bench.counters.oversize.get(), bench.counters.forwarded.get()), (2, 1));
}
