//! An operator leaves out what is on its way.

use std::time::Duration;

use super::peer::spec;
use super::*;
use crate::config::Upstream;
use crate::message::QoS;
use crate::mqtt::Version::V5;

/// The pipe is too small for the message, so that it waits in the outbox.
#[tokio::test(start_paused = true)]
async fn what_is_being_written_at_qos_0_can_be_left_out_and_costs_no_place() {
    let mut bench = Bench::over_pipes(Upstream { max_inflight: 1, ..spec(V5) }, 64);
    let mut peer = bench.accept().await;
    peer.hear().await;
    // Maximum QoS 0.
    peer.connack_with(false, &[0x24, 0]).await;
    let long = "x".repeat(1000);
    bench.commit(QoS::AtLeastOnce, &long);
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(bench.operator.skip(None, true).await.map(|skipped| skipped.number), Ok(1));
    bench.commit(QoS::AtLeastOnce, "next");
    for text in [&long, "next"] {
        assert_eq!(peer.hear().await, publish(0, false, 0, text));
        assert_eq!(peer.hear().await, Heard::PingReq);
        peer.send(&[0xD0, 0]).await;
    }
    bench.drained().await;
    assert_eq!((bench.counters.totals().forwarded, bench.letters.texts()), (1, vec![long]));
}

#[tokio::test(start_paused = true)]
async fn what_was_being_written_when_the_connection_ended_can_be_left_out() {
    let mut bench = Bench::over_pipes(spec(V5), 64);
    let mut peer = bench.accept().await;
    peer.hear().await;
    peer.connack_with(false, &[0x24, 0]).await;
    bench.commit(QoS::AtLeastOnce, &"x".repeat(1000));
    tokio::time::sleep(Duration::from_millis(10)).await;
    bench.set_down("first", true);
    drop(peer);
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(bench.operator.skip(None, false).await.map(|skipped| skipped.number), Ok(1));
    bench.drained().await;
    assert_eq!((bench.counters.totals().forwarded, bench.counters.totals().skipped), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn the_id_of_what_is_left_out_at_qos_2_is_released_at_once_and_none_of_qos_1() {
    let mut bench = Bench::new(V5);
    bench.commit(QoS::AtLeastOnce, "a");
    bench.commit(QoS::ExactlyOnce, "b");
    let (mut peer, _) = bench.welcome(false).await;
    peer.publish().await;
    let (second, ..) = peer.publish().await;
    for number in [1, 2] {
        bench.operator.skip(Some(number), false).await.unwrap();
    }
    assert_eq!(peer.hear().await, Heard::PubRel(second));
    peer.pubcomp(second).await;
    bench.drained().await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    drop(peer);
    let (mut peer, _) = bench.welcome(true).await;
    bench.commit(QoS::ExactlyOnce, "c");
    assert_eq!(peer.publish().await.2, "c", "it has answered");
}
