//! The end in good order.

use std::time::Duration;

use super::*;
use crate::message::QoS;
use crate::mqtt::Version::V5;

#[tokio::test(start_paused = true)]
async fn a_shutdown_sends_what_is_left_waits_for_the_acks_and_says_goodbye() {
    let mut bench = Bench::new(V5);
    let (mut peer, _) = bench.welcome(false).await;
    (0..15).for_each(|n| bench.commit(QoS::AtLeastOnce, &n.to_string()));
    bench.shutdown.cancel();
    for n in 0..15 {
        let (id, _, text) = peer.publish().await;
        assert_eq!(text, n.to_string());
        peer.puback(id).await;
    }
    assert_eq!(peer.hear().await, Heard::Disconnect);
    bench.task.await.unwrap();
    assert_eq!(bench.counters.totals().forwarded, 15);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_ever() {
    let mut bench = Bench::new(V5);
    bench.commit(QoS::AtLeastOnce, "a");
    let (mut peer, _) = bench.welcome(false).await;
    peer.publish().await;
    bench.shutdown.cancel();
    assert_eq!(peer.hear().await, Heard::Disconnect);
    bench.task.await.unwrap();
    assert_eq!(bench.spool.waiting(), 1);

    let bench = Bench::new(V5);
    bench.shutdown.cancel();
    bench.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_a_moment_for_dead_letters_so_that_nothing_refused_is_sent_again() {
    for (takes, left) in [(Duration::from_millis(200), 0), (Duration::from_secs(3600), 1)] {
        let mut bench = Bench::new(V5);
        bench.letters.take(takes);
        bench.commit(QoS::AtLeastOnce, "a");
        let (mut peer, _) = bench.welcome(false).await;
        let (id, ..) = peer.publish().await;
        peer.send(&[0x40, 3, (id >> 8) as u8, id as u8, 0x87]).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        bench.shutdown.cancel();
        bench.task.await.unwrap();
        assert_eq!((bench.letters.texts(), bench.spool.waiting()), (vec!["a".to_owned()], left));
    }
}
