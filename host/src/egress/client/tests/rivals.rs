//! Another client uses our client id.

use std::time::Duration;

use super::*;
use crate::message::QoS;
use crate::mqtt::Version::{V5, V311};

const TAKEN_OVER: &[u8] = &[0xE0, 1, 0x8E];

#[tokio::test(start_paused = true)]
async fn a_session_that_was_taken_over_is_not_gone_on_with() {
    let mut bench = Bench::new(V5);
    bench.commit(QoS::ExactlyOnce, "a");
    let (mut peer, _) = bench.welcome(false).await;
    let (id, ..) = peer.publish().await;
    peer.send(TAKEN_OVER).await;
    assert_eq!(peer.hear().await, Heard::Gone);

    // Whatever has our identifier there may be another client's.
    let mut peer = clear(&mut bench).await;
    assert_eq!(peer.hear().await, publish(id, false, 2, "a"));
    finish_qos_2(&mut peer, id).await;
    bench.drained().await;
    assert_eq!((bench.counters.totals().forwarded, bench.counters.totals().possible_duplicates), (1, 1));
    assert_eq!(bench.status.borrow().taken_over, 1);
}

#[tokio::test(start_paused = true)]
async fn a_line_that_breaks_again_and_again_is_no_takeover() {
    for protocol in [V311, V5] {
        let mut bench = Bench::new(protocol);
        bench.commit(QoS::ExactlyOnce, "a");
        let (mut peer, _) = bench.welcome(false).await;
        let (id, ..) = peer.publish().await;
        drop(peer);
        for _ in 0..2 {
            let (mut peer, clean) = bench.welcome(true).await;
            let mut heard = peer.hear().await;
            if heard == Heard::PingReq {
                // The message is suspected, which is another matter.
                peer.send(&[0xD0, 0]).await;
                heard = peer.hear().await;
            }
            assert_eq!((clean, heard), (false, publish(id, true, 2, "a")));
        }
        assert_eq!((bench.counters.totals().possible_duplicates, bench.status.borrow().taken_over), (0, 0));
    }
}

/// A server that tells nothing: it just closes.
#[tokio::test(start_paused = true)]
async fn who_is_closed_before_it_has_said_a_word_does_not_go_on_with_the_session() {
    for protocol in [V311, V5] {
        let mut bench = Bench::new(protocol);
        bench.commit(QoS::ExactlyOnce, "a");
        let (peer, id) = released(&mut bench).await;
        drop(peer);
        for _ in 0..3 {
            let (mut peer, _) = bench.welcome(true).await;
            let heard = tokio::time::timeout(Duration::from_millis(1500), peer.hear()).await;
            assert!(heard.is_err(), "nothing is said at first");
        }
        let mut peer = clear(&mut bench).await;
        assert_eq!(peer.hear().await, publish(id, false, 2, "a"), "what was received there may be gone");
        finish_qos_2(&mut peer, id).await;
        bench.drained().await;
        assert_eq!((bench.counters.totals().forwarded, bench.counters.totals().possible_duplicates), (1, 1));
        assert_eq!(bench.status.borrow().taken_over, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_found_at_the_first_connection_is_listened_to_before_it_is_cleared() {
    let mut bench = Bench::new(V311);
    bench.commit(QoS::ExactlyOnce, "a");
    for _ in 0..3 {
        let (mut peer, _) = bench.welcome(true).await;
        assert!(tokio::time::timeout(Duration::from_millis(1500), peer.hear()).await.is_err());
    }
    let start = Instant::now();
    let mut peer = clear(&mut bench).await;
    assert!(start.elapsed() < Duration::from_secs(1), "it is another client's for certain, which has to meet us, too");
    let (id, ..) = peer.publish().await;
    finish_qos_2(&mut peer, id).await;
    bench.drained().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_taken_over_is_not_gone_on_with_by_the_next_process() {
    for (protocol, taken_over) in [(V5, TAKEN_OVER), (V311, &[])] {
        let mut bench = Bench::new(protocol);
        bench.commit(QoS::ExactlyOnce, "a");
        let (mut peer, id) = released(&mut bench).await;
        peer.send(taken_over).await;
        drop(peer);
        // Until what follows from it is on disk.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut bench = bench.crash("gw").await;
        if protocol == V311 {
            // Nobody knows whether it was a takeover: the other one shows itself.
            for _ in 0..3 {
                drop(bench.welcome(true).await);
            }
        }
        let mut peer = clear(&mut bench).await;
        assert_eq!(peer.hear().await, publish(id, false, 2, "a"));
        finish_qos_2(&mut peer, id).await;
        bench.drained().await;
        assert_eq!(bench.counters.totals().forwarded, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_ended_in_doubt_goes_on_with_its_session_when_nobody_comes() {
    let mut bench = Bench::new(V311);
    bench.commit(QoS::ExactlyOnce, "a");
    let (mut peer, _) = bench.welcome(false).await;
    let (id, ..) = peer.publish().await;
    drop(peer);
    tokio::time::sleep(Duration::from_millis(50)).await;
    for _ in 0..2 {
        bench = bench.crash("gw").await;
        let (mut peer, _) = bench.welcome(true).await;
        assert_eq!(peer.hear().await, publish(id, true, 2, "a"));
    }
    assert_eq!(bench.counters.totals().possible_duplicates, 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_restarts_while_it_is_listened_to_costs_nothing() {
    let mut bench = Bench::new(V311);
    bench.commit(QoS::ExactlyOnce, "a");
    let (mut peer, _) = bench.welcome(false).await;
    let (id, ..) = peer.publish().await;
    drop(peer);
    for _ in 0..2 {
        drop(bench.welcome(true).await);
    }
    let (mut peer, _) = bench.welcome(true).await;
    assert_eq!(peer.hear().await, publish(id, true, 2, "a"));
    assert_eq!((bench.counters.totals().possible_duplicates, bench.status.borrow().taken_over), (0, 0));
}
