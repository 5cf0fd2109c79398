//! A server that takes QoS 0 at most: it has no acks, and what we have acknowledged must not be lost with a connection.

use std::time::Duration;

use tokio::time::Instant;

use super::isolation::Server;
use super::peer::spec;
use super::terms::{PINGRESP, QOS_0};
use super::*;
use crate::config::Upstream;
use crate::message::QoS;
use crate::mqtt::Version::V5;

async fn connected(bench: &mut Bench, session_present: bool) -> Peer {
    let mut peer = bench.accept().await;
    peer.hear().await;
    peer.connack_with(session_present, QOS_0).await;
    peer
}

/// Two messages, one of QoS 1 and one of 2, and the PINGREQ behind them.
async fn hears_both(peer: &mut Peer) {
    for text in ["one", "two"] {
        assert_eq!(peer.hear().await, publish(0, false, 0, text));
    }
    assert_eq!(peer.hear().await, Heard::PingReq);
}

fn with_both() -> Bench {
    let bench = Bench::new(V5);
    bench.commit(QoS::AtLeastOnce, "one");
    bench.commit(QoS::ExactlyOnce, "two");
    bench
}

#[tokio::test(start_paused = true)]
async fn what_a_cut_connection_may_have_swallowed_is_sent_again_and_qos_2_is_counted() {
    let mut bench = with_both();
    let mut peer = connected(&mut bench, false).await;
    hears_both(&mut peer).await;
    assert_eq!((bench.counters.totals().forwarded, bench.spool.waiting()), (0, 2), "written is not arrived");
    drop(peer);
    let mut peer = connected(&mut bench, true).await;
    hears_both(&mut peer).await;
    peer.send(PINGRESP).await;
    bench.drained().await;
    assert_eq!((bench.counters.totals().forwarded, bench.counters.totals().possible_duplicates), (2, 1));
    drop(peer);
    let mut peer = connected(&mut bench, true).await;
    assert_eq!(peer.hear().await, Heard::PingReq, "of the keep-alive: nothing is sent again that has arrived");
}

#[tokio::test(start_paused = true)]
async fn another_process_sends_again_what_was_not_known_to_have_arrived() {
    let mut bench = with_both();
    let mut peer = connected(&mut bench, false).await;
    hears_both(&mut peer).await;
    drop(peer);
    let mut bench = bench.crash("gw").await;
    let mut peer = connected(&mut bench, true).await;
    hears_both(&mut peer).await;
    peer.send(PINGRESP).await;
    bench.drained().await;
    assert_eq!((bench.counters.totals().forwarded, bench.counters.totals().possible_duplicates), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn one_question_is_for_all_that_went_before_it() {
    let mut bench = Bench::new(V5);
    let mut peer = connected(&mut bench, false).await;
    bench.commit(QoS::AtLeastOnce, "first");
    assert_eq!(peer.hear().await, publish(0, false, 0, "first"));
    assert_eq!(peer.hear().await, Heard::PingReq);
    (0..9).for_each(|n| bench.commit(QoS::AtLeastOnce, &n.to_string()));
    for n in 0..9 {
        assert_eq!(peer.hear().await, publish(0, false, 0, &n.to_string()), "nobody waits for the answer");
    }
    peer.send(PINGRESP).await;
    assert_eq!(peer.hear().await, Heard::PingReq);
    assert_eq!(bench.spool.waiting(), 9);
    peer.send(PINGRESP).await;
    bench.drained().await;
    assert_eq!(bench.counters.totals().forwarded, 10);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_ends_the_connection_as_an_ack_does() {
    let ack_timeout = Duration::from_secs(4);
    let mut bench = Bench::with(Upstream { ack_timeout, ..spec(V5) });
    bench.commit(QoS::AtLeastOnce, "a");
    let mut peer = connected(&mut bench, false).await;
    let start = Instant::now();
    assert_eq!(peer.hear().await, publish(0, false, 0, "a"));
    assert_eq!((peer.hear().await, peer.hear().await), (Heard::PingReq, Heard::Gone));
    assert!((ack_timeout..=ack_timeout.mul_f64(1.26)).contains(&start.elapsed()), "{:?}", start.elapsed());
    let error = bench.status.borrow().last_error.clone().unwrap();
    assert!(error.contains("no PINGRESP") && error.contains("topic `t`"), "{error}");
    let mut peer = connected(&mut bench, true).await;
    assert_eq!(peer.hear().await, publish(0, false, 0, "a"));
}

#[tokio::test(start_paused = true)]
async fn what_a_device_published_at_qos_0_is_over_when_it_is_written() {
    let mut bench = Bench::new(V5);
    bench.commit(QoS::AtMostOnce, "a");
    let mut peer = connected(&mut bench, false).await;
    assert_eq!(peer.hear().await, publish(0, false, 0, "a"));
    bench.drained().await;
    assert_eq!(bench.counters.totals().forwarded, 1);
}

#[tokio::test(start_paused = true)]
async fn a_message_on_which_such_a_server_closes_is_found_and_holds_up_nobody() {
    let mut bench = Bench::new(V5);
    for n in 0..30 {
        bench.commit(QoS::AtLeastOnce, &if n == 7 { "bad".into() } else { n.to_string() });
    }
    let mut server = Server::new(|text| text == "bad").with_terms(QOS_0);
    server.run(&mut bench).await;
    assert_eq!(bench.letters.texts(), ["bad"]);
    let arrived: std::collections::BTreeSet<_> = server.arrived.into_iter().collect();
    assert_eq!((arrived.len(), bench.counters.totals().forwarded), (29, 29));
}

#[tokio::test(start_paused = true)]
async fn an_operator_can_leave_out_what_has_no_answer() {
    let mut bench = with_both();
    let mut peer = connected(&mut bench, false).await;
    hears_both(&mut peer).await;
    bench.operator.skip(None, true).await.unwrap();
    peer.send(PINGRESP).await;
    bench.drained().await;
    assert_eq!((bench.letters.texts(), bench.counters.totals().forwarded), (vec!["one".to_string()], 1));
}
